-- +goose Up

-- Roles that people made. What each allows is a list of permissions with spaces
-- between.
CREATE TABLE custom_role (
  id          TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  permissions TEXT NOT NULL,
  created_at  BIGINT NOT NULL
);

-- One role in one scope. An empty field of a scope doesn't narrow it.
CREATE TABLE user_grant (
  user_id     TEXT NOT NULL REFERENCES users (id),
  role        TEXT NOT NULL,
  project_id  TEXT NOT NULL,
  environment TEXT NOT NULL,
  toolkit     TEXT NOT NULL,
  PRIMARY KEY (user_id, role, project_id, environment, toolkit)
);
INSERT INTO user_grant (user_id, role, project_id, environment, toolkit) SELECT user_id, role, '', '', '' FROM user_role;
DROP TABLE user_role;

CREATE TABLE group_grant (
  group_id    TEXT NOT NULL REFERENCES user_group (id),
  role        TEXT NOT NULL,
  project_id  TEXT NOT NULL,
  environment TEXT NOT NULL,
  toolkit     TEXT NOT NULL,
  PRIMARY KEY (group_id, role, project_id, environment, toolkit)
);

-- Somebody is in a group if any source says so: local (by a change request),
-- oidc:… (a provider, at sign-in) or scim.
CREATE TABLE group_member_from (
  group_id TEXT NOT NULL REFERENCES user_group (id),
  user_id  TEXT NOT NULL REFERENCES users (id),
  source   TEXT NOT NULL,
  PRIMARY KEY (group_id, user_id, source)
);
INSERT INTO group_member_from (group_id, user_id, source) SELECT group_id, user_id, 'local' FROM group_member;
DROP TABLE group_member;
ALTER TABLE group_member_from RENAME TO group_member;
CREATE INDEX group_member_user ON group_member (user_id);

-- What a group is called elsewhere.
CREATE TABLE group_external (
  source      TEXT NOT NULL,
  external_id TEXT NOT NULL,
  group_id    TEXT NOT NULL REFERENCES user_group (id),
  PRIMARY KEY (source, external_id)
);
CREATE INDEX group_external_group ON group_external (group_id);

-- The toolkits of a request's auth configs, with spaces between.
ALTER TABLE change_request ADD COLUMN toolkits TEXT NOT NULL DEFAULT '';
UPDATE change_request SET toolkits = COALESCE((
  SELECT group_concat(slug, ' ') FROM (
    SELECT DISTINCT json_extract(i.value, '$.Toolkit') AS slug FROM revision v, json_each(v.items) i
    WHERE v.request_id = change_request.id AND v.number = change_request.revision AND json_extract(i.value, '$.Toolkit') <> ''
    ORDER BY slug)), '');

-- Sessions in which an admin looks at pages as a role sees them.
CREATE TABLE session_view (
  session_id  TEXT PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
  role        TEXT NOT NULL,
  project_id  TEXT NOT NULL,
  environment TEXT NOT NULL,
  toolkit     TEXT NOT NULL,
  began_at    BIGINT NOT NULL
);

-- Reviews of who may do what. The people and their rights are fixed when one is
-- opened.
CREATE TABLE access_review (
  id          TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  people      BIGINT NOT NULL,
  set_hash    TEXT NOT NULL,
  opened_by   TEXT NOT NULL REFERENCES users (id),
  opened_name TEXT NOT NULL,
  opened_at   BIGINT NOT NULL,
  closed_by   TEXT NOT NULL, -- empty while it is open
  closed_name TEXT NOT NULL,
  closed_at   BIGINT NOT NULL,
  conclusion  TEXT NOT NULL,
  left_reason TEXT NOT NULL, -- why rows were left undecided
  report      TEXT NOT NULL  -- SHA-256
);

CREATE TABLE access_review_row (
  review_id    TEXT NOT NULL REFERENCES access_review (id),
  user_id      TEXT NOT NULL REFERENCES users (id),
  number       BIGINT NOT NULL,
  name         TEXT NOT NULL,
  state        TEXT NOT NULL,
  last_sign_in BIGINT NOT NULL,
  grants       TEXT NOT NULL, -- JSON
  groups       TEXT NOT NULL, -- JSON
  verdict      TEXT NOT NULL, -- empty while nobody has decided
  by_id        TEXT NOT NULL,
  by_name      TEXT NOT NULL,
  at           BIGINT NOT NULL,
  comment      TEXT NOT NULL,
  request_id   TEXT NOT NULL, -- the change request that takes the grants
  PRIMARY KEY (review_id, user_id)
);
