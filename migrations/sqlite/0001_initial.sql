-- +goose Up

-- History. The body is hashed; prev and hash are copies beside it.
CREATE TABLE history (
  seq  INTEGER PRIMARY KEY,
  body BLOB NOT NULL,
  prev BLOB NOT NULL,
  hash BLOB NOT NULL
);

-- Personal data of history entries, which can be erased without breaking the chain.
CREATE TABLE history_personal (
  seq   BIGINT NOT NULL REFERENCES history (seq),
  field TEXT NOT NULL,
  salt  BLOB NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (seq, field)
) WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER history_no_update BEFORE UPDATE ON history
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER history_no_delete BEFORE DELETE ON history
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER history_in_order BEFORE INSERT ON history
WHEN NEW.seq <> COALESCE((SELECT MAX(seq) FROM history), 0) + 1
  OR NEW.prev <> COALESCE((SELECT hash FROM history WHERE seq = NEW.seq - 1), zeroblob(32))
BEGIN SELECT RAISE(ABORT, 'history has no gaps'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER history_personal_no_update BEFORE UPDATE ON history_personal
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER history_personal_no_delete BEFORE DELETE ON history_personal
BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
-- +goose StatementEnd

-- People.
CREATE TABLE users (
  id           TEXT PRIMARY KEY,
  email        TEXT NOT NULL UNIQUE,
  name         TEXT NOT NULL,
  passphrase   TEXT NOT NULL, -- PHC string, or empty
  state        TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  last_sign_in BIGINT NOT NULL
);

CREATE TABLE user_role (
  user_id TEXT NOT NULL REFERENCES users (id),
  role    TEXT NOT NULL,
  PRIMARY KEY (user_id, role)
);

CREATE TABLE one_time_link (
  key        BLOB PRIMARY KEY, -- SHA-256 of the token
  kind       TEXT NOT NULL,
  user_id    TEXT NOT NULL,    -- empty for set-up
  made_by    TEXT NOT NULL,    -- admin, or empty for the program itself
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);

CREATE TABLE session (
  key        BLOB PRIMARY KEY, -- SHA-256 of the token
  id         TEXT NOT NULL UNIQUE,
  user_id    TEXT NOT NULL REFERENCES users (id),
  created_at BIGINT NOT NULL,
  last_seen  BIGINT NOT NULL,
  ip         TEXT NOT NULL,
  agent      TEXT NOT NULL
);
CREATE INDEX session_user ON session (user_id);

CREATE TABLE guess (
  key      TEXT PRIMARY KEY,
  failures BIGINT NOT NULL,
  last     BIGINT NOT NULL
);

-- Forms: each is taken once, and what was typed outlives a session.
CREATE TABLE form_op (
  id         TEXT PRIMARY KEY,
  user_id    TEXT NOT NULL,
  digest     BLOB NOT NULL, -- keyed hash of what was sent
  location   TEXT NOT NULL, -- where the answer led to; empty until known
  created_at BIGINT NOT NULL
);

CREATE TABLE form_draft (
  id         TEXT PRIMARY KEY,
  user_id    TEXT NOT NULL REFERENCES users (id),
  path       TEXT NOT NULL,
  fields     TEXT NOT NULL, -- JSON, without credentials
  created_at BIGINT NOT NULL
);

-- Projects and what the remote has.
CREATE TABLE project (
  id              TEXT PRIMARY KEY,
  slug            TEXT NOT NULL UNIQUE,
  name            TEXT NOT NULL,
  environment     TEXT NOT NULL,
  base_url        TEXT NOT NULL,
  key_sealed      BLOB NOT NULL,
  key_last4       TEXT NOT NULL,
  key_fingerprint TEXT NOT NULL,
  key_set_at      BIGINT NOT NULL,
  read_only       BOOLEAN NOT NULL,
  markers         BOOLEAN NOT NULL,
  remote_id       TEXT NOT NULL, -- Composio's own, if the key may know
  remote_name     TEXT NOT NULL,
  created_at      BIGINT NOT NULL,
  archived_at     BIGINT NOT NULL,
  mirror_version  BIGINT NOT NULL,
  baseline        BOOLEAN NOT NULL,
  sync_started_at BIGINT NOT NULL,
  sync_ok_at      BIGINT NOT NULL,
  sync_problem    TEXT NOT NULL
);

CREATE TABLE auth_config (
  project_id  TEXT NOT NULL REFERENCES project (id),
  id          TEXT NOT NULL,
  version     BIGINT NOT NULL,
  data        TEXT NOT NULL, -- JSON
  changed_at  BIGINT NOT NULL,
  changed_by  TEXT NOT NULL,
  changed_via TEXT NOT NULL,
  PRIMARY KEY (project_id, id)
);

-- The last value of each credential that was set through us, as a keyed fingerprint.
CREATE TABLE credential_fingerprint (
  project_id     TEXT NOT NULL,
  auth_config_id TEXT NOT NULL,
  field          TEXT NOT NULL,
  fingerprint    TEXT NOT NULL,
  set_at         BIGINT NOT NULL,
  set_by         TEXT NOT NULL,
  PRIMARY KEY (project_id, auth_config_id, field)
);

CREATE TABLE toolkit (
  project_id TEXT NOT NULL REFERENCES project (id),
  slug       TEXT NOT NULL,
  name       TEXT NOT NULL,
  data       TEXT NOT NULL, -- JSON
  read_at    BIGINT NOT NULL,
  PRIMARY KEY (project_id, slug)
);

CREATE TABLE toolkit_detail (
  project_id TEXT NOT NULL REFERENCES project (id),
  slug       TEXT NOT NULL,
  data       TEXT NOT NULL, -- JSON
  read_at    BIGINT NOT NULL,
  PRIMARY KEY (project_id, slug)
);

CREATE TABLE toolkit_tools (
  project_id TEXT NOT NULL REFERENCES project (id),
  slug       TEXT NOT NULL,
  data       TEXT NOT NULL, -- JSON
  read_at    BIGINT NOT NULL,
  PRIMARY KEY (project_id, slug)
);

-- Change requests.
-- What decides about change requests. It changes by change requests itself.
CREATE TABLE policy (
  id         TEXT PRIMARY KEY,
  content    TEXT NOT NULL, -- JSON
  created_at BIGINT NOT NULL
);

CREATE TABLE user_group (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE group_member (
  group_id TEXT NOT NULL REFERENCES user_group (id),
  user_id  TEXT NOT NULL REFERENCES users (id),
  PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_member_user ON group_member (user_id);

CREATE TABLE break_glass (
  user_id TEXT PRIMARY KEY REFERENCES users (id)
);

CREATE TABLE freeze_window (
  id          TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  project_id  TEXT NOT NULL, -- empty: every project of the environment
  environment TEXT NOT NULL, -- empty: any
  from_at     BIGINT NOT NULL,
  until_at    BIGINT NOT NULL
);

CREATE TABLE change_request (
  id          TEXT PRIMARY KEY,
  project_id  TEXT REFERENCES project (id), -- null for a change of the rules
  title       TEXT NOT NULL,
  reason      TEXT NOT NULL,
  state       TEXT NOT NULL,
  version     BIGINT NOT NULL,
  author_id   TEXT NOT NULL REFERENCES users (id),
  author_name TEXT NOT NULL,
  revision    BIGINT NOT NULL,
  policies    TEXT NOT NULL, -- JSON, as they were at submission
  approvals   BIGINT NOT NULL, -- that it has
  needed      BIGINT NOT NULL, -- and needs
  votes_from  BIGINT NOT NULL, -- earlier votes don't count any more
  note        TEXT NOT NULL, -- why it is in this state, in words for readers
  apply_after BIGINT NOT NULL,
  zone        TEXT NOT NULL, -- that apply_after was given in
  expires_at  BIGINT NOT NULL,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL,
  ended_at    BIGINT NOT NULL
);
CREATE INDEX change_request_open ON change_request (ended_at, created_at);
CREATE INDEX change_request_state ON change_request (state, created_at);
CREATE INDEX change_request_project ON change_request (project_id, created_at);
CREATE INDEX change_request_created ON change_request (created_at);
CREATE INDEX change_request_author ON change_request (author_id, created_at);
CREATE INDEX change_request_done ON change_request (created_at) WHERE ended_at > 0;
CREATE INDEX change_request_due ON change_request (ended_at, expires_at);

CREATE TABLE revision (
  request_id   TEXT NOT NULL REFERENCES change_request (id),
  number       BIGINT NOT NULL,
  items        TEXT NOT NULL, -- JSON
  effect_hash  TEXT NOT NULL,
  contributors TEXT NOT NULL, -- JSON
  author_id    TEXT NOT NULL,
  author_name  TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (request_id, number)
);
CREATE INDEX revision_author ON revision (author_id);

CREATE TABLE vote (
  id               TEXT PRIMARY KEY,
  request_id       TEXT NOT NULL REFERENCES change_request (id),
  revision         BIGINT NOT NULL,
  effect_hash      TEXT NOT NULL,
  reviewer_id      TEXT NOT NULL REFERENCES users (id),
  reviewer_name    TEXT NOT NULL,
  decision         TEXT NOT NULL,
  reason           TEXT NOT NULL,
  authenticated_by TEXT NOT NULL,
  authenticated_at BIGINT NOT NULL,
  created_at       BIGINT NOT NULL
);
CREATE INDEX vote_request ON vote (request_id, created_at);
CREATE INDEX vote_reviewer ON vote (reviewer_id);

-- +goose StatementBegin
CREATE TRIGGER revision_no_update BEFORE UPDATE ON revision
BEGIN SELECT RAISE(ABORT, 'revisions never change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER revision_no_delete BEFORE DELETE ON revision
BEGIN SELECT RAISE(ABORT, 'revisions never change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER vote_no_update BEFORE UPDATE ON vote
BEGIN SELECT RAISE(ABORT, 'votes never change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER vote_no_delete BEFORE DELETE ON vote
BEGIN SELECT RAISE(ABORT, 'votes never change'); END;
-- +goose StatementEnd

-- What was applied without approval, and who looked back at it.
CREATE TABLE bypass (
  request_id    TEXT PRIMARY KEY REFERENCES change_request (id),
  user_id       TEXT NOT NULL REFERENCES users (id),
  user_name     TEXT NOT NULL,
  incident      TEXT NOT NULL,
  reason        TEXT NOT NULL,
  effect_hash   TEXT NOT NULL,
  created_at    BIGINT NOT NULL,
  reviewer_id   TEXT NOT NULL, -- empty while the review is due
  reviewer_name TEXT NOT NULL,
  fine          BOOLEAN NOT NULL,
  comment       TEXT NOT NULL,
  reviewed_at   BIGINT NOT NULL
);
CREATE INDEX bypass_due ON bypass (reviewed_at, created_at);

CREATE TABLE comment (
  id          TEXT PRIMARY KEY,
  request_id  TEXT NOT NULL REFERENCES change_request (id),
  item        BIGINT NOT NULL,
  field       TEXT NOT NULL, -- empty: on the request as a whole
  author_id   TEXT NOT NULL REFERENCES users (id),
  author_name TEXT NOT NULL,
  body        TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  edited_at   BIGINT NOT NULL
);
CREATE INDEX comment_request ON comment (request_id, created_at);
CREATE INDEX comment_author ON comment (author_id);

-- What a comment said before it was edited.
CREATE TABLE comment_version (
  comment_id TEXT NOT NULL REFERENCES comment (id),
  replaced_at BIGINT NOT NULL,
  body       TEXT NOT NULL,
  PRIMARY KEY (comment_id, replaced_at)
);

CREATE TABLE watch (
  request_id TEXT NOT NULL REFERENCES change_request (id),
  user_id    TEXT NOT NULL REFERENCES users (id),
  PRIMARY KEY (request_id, user_id)
);
CREATE INDEX watch_user ON watch (user_id);

-- How often a reviewer compared a value with a credential that waits.
CREATE TABLE credential_guess (
  request_id TEXT NOT NULL REFERENCES change_request (id),
  user_id    TEXT NOT NULL REFERENCES users (id),
  guesses    BIGINT NOT NULL,
  PRIMARY KEY (request_id, user_id)
);

-- How far the items of the current revision have come.
CREATE TABLE change_item (
  request_id TEXT NOT NULL REFERENCES change_request (id),
  item       BIGINT NOT NULL,
  target     TEXT NOT NULL, -- auth config, empty for a create that is not settled
  state      TEXT NOT NULL,
  step       TEXT NOT NULL,
  attempts   BIGINT NOT NULL,
  decide     BOOLEAN NOT NULL, -- only a person can say what happened
  maybe      BOOLEAN NOT NULL, -- an earlier attempt may have had an effect that can't be read
  note       TEXT NOT NULL,
  PRIMARY KEY (request_id, item)
);
CREATE INDEX change_item_target ON change_item (target);

CREATE TABLE apply_attempt (
  request_id  TEXT NOT NULL REFERENCES change_request (id),
  revision    BIGINT NOT NULL,
  item        BIGINT NOT NULL,
  number      BIGINT NOT NULL, -- also the fencing number
  step        TEXT NOT NULL,
  digest      TEXT NOT NULL,
  lease_owner TEXT NOT NULL,
  lease_until BIGINT NOT NULL,
  answer      TEXT NOT NULL,
  outcome     TEXT NOT NULL, -- empty while open
  started_at  BIGINT NOT NULL,
  ended_at    BIGINT NOT NULL,
  PRIMARY KEY (request_id, revision, item, number)
);

-- What is being applied, so that nothing else is to the same target.
CREATE TABLE claim (
  project_id TEXT NOT NULL,
  target     TEXT NOT NULL, -- auth config, or create:MARKER
  request_id TEXT NOT NULL REFERENCES change_request (id),
  item       BIGINT NOT NULL,
  PRIMARY KEY (project_id, target)
);
CREATE INDEX claim_request ON claim (request_id);

-- Credentials that wait to be sent.
CREATE TABLE sealed_credential (
  request_id TEXT NOT NULL REFERENCES change_request (id),
  item       BIGINT NOT NULL,
  field      TEXT NOT NULL,
  sealed     BLOB NOT NULL,
  PRIMARY KEY (request_id, item, field)
);

-- A sealed constant that tells whether the key file is the right one.
CREATE TABLE key_check (
  id     BIGINT PRIMARY KEY,
  sealed BLOB NOT NULL
);
