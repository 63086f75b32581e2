-- +goose Up

-- Whence each person has signed in: keyed hashes of browser, system and network.
CREATE TABLE device (
  user_id TEXT NOT NULL REFERENCES users (id),
  hash    BLOB NOT NULL,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, hash)
) WITHOUT ROWID;
CREATE INDEX device_seen ON device (seen_at);

-- What programs use to act for a person through the JSON API. Revoked and expired
-- ones stay for a while, so that their use can be told of.
CREATE TABLE api_token (
  id           TEXT PRIMARY KEY,
  key          BLOB NOT NULL UNIQUE, -- SHA-256 of the token
  user_id      TEXT NOT NULL REFERENCES users (id),
  name         TEXT NOT NULL,
  may          TEXT NOT NULL, -- JSON
  projects     TEXT NOT NULL, -- JSON, ids; none means all that the owner may
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  revoked_at   BIGINT NOT NULL, -- 0 while it is good
  last_used_at BIGINT NOT NULL,
  last_used_ip TEXT NOT NULL,
  refused_at   BIGINT NOT NULL, -- when its use was last recorded as refused
  warned       BOOLEAN NOT NULL -- its owner was told that it expires
);
CREATE INDEX api_token_user ON api_token (user_id, created_at);
CREATE INDEX api_token_expires ON api_token (expires_at);
