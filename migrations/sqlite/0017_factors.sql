-- +goose Up

-- How a session began, when its person last proved who they are, and whether
-- with more than a passphrase.
ALTER TABLE session ADD COLUMN method TEXT NOT NULL DEFAULT 'passphrase';
ALTER TABLE session ADD COLUMN proved_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN strong BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE session SET proved_at = created_at;

-- A sign-in that waits for the second factor. It opens nothing.
CREATE TABLE pending_sign_in (
  key        BLOB PRIMARY KEY, -- SHA-256 of the token
  user_id    TEXT NOT NULL REFERENCES users (id),
  method     TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  ip         TEXT NOT NULL,
  agent      TEXT NOT NULL
);
CREATE INDEX pending_sign_in_user ON pending_sign_in (user_id);

CREATE TABLE passkey (
  id            TEXT PRIMARY KEY,
  user_id       TEXT NOT NULL REFERENCES users (id),
  credential_id BLOB NOT NULL UNIQUE,
  public_key    BLOB NOT NULL,
  sign_count    BIGINT NOT NULL,
  aaguid        BLOB NOT NULL,
  transports    TEXT NOT NULL,    -- names with spaces between
  can_back_up   BOOLEAN NOT NULL, -- it may be copied to other devices
  backed_up     BOOLEAN NOT NULL,
  name          TEXT NOT NULL,
  created_at    BIGINT NOT NULL,
  used_at       BIGINT NOT NULL,
  cloned_at     BIGINT NOT NULL   -- when its counter went back; refused since then
);
CREATE INDEX passkey_user ON passkey (user_id);

-- An authenticator app. Its secret is sealed.
CREATE TABLE totp (
  user_id    TEXT PRIMARY KEY REFERENCES users (id),
  sealed     BLOB NOT NULL,
  last_step  BIGINT NOT NULL, -- of the newest code that was used; none up to it counts again
  created_at BIGINT NOT NULL,
  used_at    BIGINT NOT NULL
);

CREATE TABLE recovery_code (
  user_id TEXT NOT NULL REFERENCES users (id),
  hash    BLOB NOT NULL, -- SHA-256 of the code
  used_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, hash)
);

-- Challenges that were answered, until they are too old anyway.
CREATE TABLE spent_challenge (
  hash       BLOB PRIMARY KEY,
  expires_at BIGINT NOT NULL
);
