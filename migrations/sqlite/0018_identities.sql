-- +goose Up

-- Who people are to identity providers. Issuer and subject tell one from another;
-- the address is what the provider says, and nothing is found by it.
CREATE TABLE identity (
  issuer     TEXT NOT NULL,
  subject    TEXT NOT NULL,
  user_id    TEXT NOT NULL REFERENCES users (id),
  provider   TEXT NOT NULL,
  email      TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  last_used  BIGINT NOT NULL, -- 0 if never
  PRIMARY KEY (issuer, subject)
);
CREATE INDEX identity_user ON identity (user_id);

-- Ways to a provider and back that were used, until they are too old anyway.
CREATE TABLE spent_ticket (
  hash       BLOB PRIMARY KEY,
  expires_at BIGINT NOT NULL
);
CREATE INDEX spent_ticket_expires ON spent_ticket (expires_at);

-- Accounts that may sign in with a passphrase while only those may.
ALTER TABLE users ADD COLUMN emergency BOOLEAN NOT NULL DEFAULT FALSE;
