-- +goose Up

-- A client of a directory is made by a change request, and has no token until who
-- asked for it has that shown.
CREATE TABLE scim_client_new (
  id           TEXT PRIMARY KEY,
  key          BLOB UNIQUE, -- SHA-256 of the token; NULL until there is one
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
INSERT INTO scim_client_new (id, key, name, directory, made_by, created_at, expires_at, revoked_at, last_used_at, last_used_ip, refused_at)
  SELECT id, key, name, directory, made_by, created_at, expires_at, revoked_at, last_used_at, last_used_ip, refused_at FROM scim_client;
DROP TABLE scim_client;
ALTER TABLE scim_client_new RENAME TO scim_client;
