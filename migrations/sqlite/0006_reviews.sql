-- +goose Up

-- Formal looks back at a period. The entries of each are fixed when it is opened.
CREATE TABLE review (
  id          TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  query       TEXT NOT NULL,
  from_at     BIGINT NOT NULL,
  to_at       BIGINT NOT NULL,
  up_to       BIGINT NOT NULL, -- the last entry that there was
  set_hash    TEXT NOT NULL,
  entries     BIGINT NOT NULL,
  opened_by   TEXT NOT NULL REFERENCES users (id),
  opened_name TEXT NOT NULL,
  opened_at   BIGINT NOT NULL,
  closed_by   TEXT NOT NULL, -- empty while it is open
  closed_name TEXT NOT NULL,
  closed_at   BIGINT NOT NULL,
  conclusion  TEXT NOT NULL,
  report      TEXT NOT NULL  -- SHA-256
);
CREATE INDEX review_opened ON review (opened_at);

CREATE TABLE review_entry (
  review_id   TEXT NOT NULL REFERENCES review (id),
  seq         BIGINT NOT NULL,
  looked_by   TEXT NOT NULL, -- empty while nobody has looked at it
  looked_name TEXT NOT NULL,
  looked_at   BIGINT NOT NULL,
  comment     TEXT NOT NULL,
  PRIMARY KEY (review_id, seq)
) WITHOUT ROWID;
CREATE INDEX review_entry_left ON review_entry (review_id, seq) WHERE looked_at = 0;

-- Questions about entries, and who has to answer them.
CREATE TABLE review_flag (
  review_id     TEXT NOT NULL REFERENCES review (id),
  seq           BIGINT NOT NULL REFERENCES history (seq),
  state         TEXT NOT NULL,
  assignee_id   TEXT NOT NULL REFERENCES users (id),
  assignee_name TEXT NOT NULL,
  PRIMARY KEY (review_id, seq)
) WITHOUT ROWID;
CREATE INDEX review_flag_asked ON review_flag (assignee_id) WHERE state = 'asked';

CREATE TABLE review_remark (
  review_id TEXT NOT NULL,
  seq       BIGINT NOT NULL,
  number    BIGINT NOT NULL,
  state     TEXT NOT NULL, -- that it led to
  by_id     TEXT NOT NULL REFERENCES users (id),
  by_name   TEXT NOT NULL,
  at        BIGINT NOT NULL,
  body      TEXT NOT NULL,
  PRIMARY KEY (review_id, seq, number)
) WITHOUT ROWID;
-- +goose StatementBegin
CREATE TRIGGER review_remark_no_update BEFORE UPDATE ON review_remark
BEGIN SELECT RAISE(ABORT, 'remarks never change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER review_remark_no_delete BEFORE DELETE ON review_remark
BEGIN SELECT RAISE(ABORT, 'remarks never change'); END;
-- +goose StatementEnd

-- Which checkpoint was the first to cover an entry.
CREATE INDEX checkpoint_size ON checkpoint (size, id);
