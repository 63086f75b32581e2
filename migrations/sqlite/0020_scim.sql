-- +goose Up

-- Directories that keep people and groups here in step through SCIM: each client
-- has a token. Clients of one directory stand for each other.
CREATE TABLE scim_client (
  id           TEXT PRIMARY KEY,
  key          BLOB NOT NULL UNIQUE, -- SHA-256 of the token
  name         TEXT NOT NULL,
  directory    TEXT NOT NULL, -- id of the provider whose people they are, or empty
  made_by      TEXT NOT NULL REFERENCES users (id),
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  revoked_at   BIGINT NOT NULL, -- 0 while it is good
  last_used_at BIGINT NOT NULL,
  last_used_ip TEXT NOT NULL,
  refused_at   BIGINT NOT NULL -- when its use was last recorded as refused
);

-- What a directory says of people. Who left it stays, so that they are the same
-- person when they come back.
CREATE TABLE scim_user (
  user_id      TEXT PRIMARY KEY REFERENCES users (id),
  directory    TEXT NOT NULL,
  external_id  TEXT NOT NULL, -- empty if it tells none
  user_name    TEXT NOT NULL,
  given_name   TEXT NOT NULL,
  family_name  TEXT NOT NULL,
  display_name TEXT NOT NULL,
  email        TEXT NOT NULL,
  ended        BOOLEAN NOT NULL, -- the directory disabled the account
  gone         BOOLEAN NOT NULL, -- the directory deleted it
  created_at   BIGINT NOT NULL,
  updated_at   BIGINT NOT NULL
);
CREATE INDEX scim_user_name ON scim_user (directory, lower(user_name));
CREATE INDEX scim_user_external ON scim_user (directory, external_id);

CREATE TABLE scim_group (
  group_id    TEXT PRIMARY KEY REFERENCES user_group (id),
  directory   TEXT NOT NULL,
  external_id TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL
);
CREATE INDEX scim_group_directory ON scim_group (directory);
