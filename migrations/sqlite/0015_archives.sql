-- +goose Up

-- What left history for archives: signed statements, each of which begins where
-- the one before ends. Verification begins after the last.
CREATE TABLE archive (
  id      INTEGER PRIMARY KEY,
  first   BIGINT NOT NULL,
  last    BIGINT NOT NULL,
  note    BLOB NOT NULL,
  made_at BIGINT NOT NULL
);

-- +goose StatementBegin
CREATE TRIGGER archive_no_update BEFORE UPDATE ON archive
BEGIN SELECT RAISE(ABORT, 'archives never change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER archive_no_delete BEFORE DELETE ON archive
BEGIN SELECT RAISE(ABORT, 'archives never change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER archive_in_order BEFORE INSERT ON archive
WHEN NEW.id <> COALESCE((SELECT MAX(id) FROM archive), 0) + 1
  OR NEW.first <> COALESCE((SELECT last FROM archive WHERE id = NEW.id - 1), 0) + 1
  OR NEW.last < NEW.first
  OR NEW.last >= (SELECT MAX(seq) FROM history)
BEGIN SELECT RAISE(ABORT, 'archives have no gaps'); END;
-- +goose StatementEnd

-- Flags outlive the entries that they are about.
CREATE TABLE review_flag_new (
  review_id     TEXT NOT NULL REFERENCES review (id),
  seq           BIGINT NOT NULL,
  hash          BLOB NOT NULL, -- of the entry
  state         TEXT NOT NULL,
  assignee_id   TEXT NOT NULL REFERENCES users (id),
  assignee_name TEXT NOT NULL,
  PRIMARY KEY (review_id, seq)
) WITHOUT ROWID;
INSERT INTO review_flag_new (review_id, seq, hash, state, assignee_id, assignee_name)
SELECT f.review_id, f.seq, h.hash, f.state, f.assignee_id, f.assignee_name FROM review_flag f JOIN history h ON h.seq = f.seq;
DROP TABLE review_flag;
ALTER TABLE review_flag_new RENAME TO review_flag;
CREATE INDEX review_flag_asked ON review_flag (assignee_id) WHERE state = 'asked';
