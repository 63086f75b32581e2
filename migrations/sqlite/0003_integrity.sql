-- +goose Up

-- Signed statements of what history was at a moment.
CREATE TABLE checkpoint (
  id   INTEGER PRIMARY KEY,
  size BIGINT NOT NULL,
  note BLOB NOT NULL, -- signed note (C2SP tlog-checkpoint)
  why  TEXT NOT NULL,
  at   BIGINT NOT NULL
);

-- +goose StatementBegin
CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'checkpoints never change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'checkpoints never change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER checkpoint_in_order BEFORE INSERT ON checkpoint
WHEN NEW.id <> COALESCE((SELECT MAX(id) FROM checkpoint), 0) + 1
  OR NEW.size < COALESCE((SELECT size FROM checkpoint WHERE id = NEW.id - 1), 0)
  OR NEW.size > COALESCE((SELECT MAX(seq) FROM history), 0)
BEGIN SELECT RAISE(ABORT, 'checkpoints have no gaps'); END;
-- +goose StatementEnd

-- How far each anchor has come.
CREATE TABLE anchor (
  id        TEXT PRIMARY KEY, -- hash of the setting, which may hold a secret
  reached   BIGINT NOT NULL,  -- checkpoint that was delivered last
  ok_at     BIGINT NOT NULL,
  failed_at BIGINT NOT NULL,
  problem   TEXT NOT NULL
);
