-- +goose Up

-- Whose personal data was erased. What is still to be done can be done again.
CREATE TABLE erasure (
  user_id     TEXT PRIMARY KEY REFERENCES users (id),
  number      BIGINT NOT NULL,
  email       TEXT NOT NULL, -- as it was; empty once it is done
  name        TEXT NOT NULL, -- as it was; empty once it is done
  finished_at BIGINT NOT NULL
);
