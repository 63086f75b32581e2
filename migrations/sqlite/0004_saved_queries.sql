-- +goose Up

-- Searches of history that people keep. Shared ones are everybody's to use.
CREATE TABLE saved_query (
  id         TEXT PRIMARY KEY,
  owner_id   TEXT NOT NULL REFERENCES users (id),
  name       TEXT NOT NULL,
  text       TEXT NOT NULL,
  shared     BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (owner_id, name)
);
CREATE INDEX saved_query_shared ON saved_query (name) WHERE shared;

-- Who gets mail about what a search finds, and up to which entry they know it.
CREATE TABLE query_digest (
  query_id TEXT NOT NULL REFERENCES saved_query (id),
  user_id  TEXT NOT NULL REFERENCES users (id),
  every    TEXT NOT NULL, -- daily or weekly
  seq      BIGINT NOT NULL,
  due_at   BIGINT NOT NULL,
  PRIMARY KEY (query_id, user_id)
);
CREATE INDEX query_digest_due ON query_digest (due_at);
