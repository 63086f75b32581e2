-- +goose Up

-- Which entries of history changed which auth config, and what they tell. It is
-- written with them, and says nothing that they don't.
CREATE TABLE config_step (
  project_id     TEXT NOT NULL,
  auth_config_id TEXT NOT NULL, -- empty: the project was read for the first time
  seq            BIGINT NOT NULL,
  at             BIGINT NOT NULL,
  kind           TEXT NOT NULL,
  name           TEXT NOT NULL,
  fields         TEXT NOT NULL, -- names with spaces between
  PRIMARY KEY (project_id, auth_config_id, seq)
) WITHOUT ROWID;
CREATE INDEX config_step_at ON config_step (project_id, at, seq);

INSERT INTO config_step (project_id, auth_config_id, seq, at, kind, name, fields)
SELECT j ->> 'project', CASE WHEN action = 'project.baseline' THEN '' ELSE j ->> '$.object.id' END, seq,
  CAST(strftime('%s', substr(j ->> 'time', 1, 19)) AS INTEGER) * 1000000 + CAST(substr(j ->> 'time', 21, 6) AS INTEGER),
  kind, CASE WHEN action = 'project.baseline' THEN '' ELSE j ->> '$.object.name' END,
  CASE
    WHEN kind = 'read' OR json_array_length(j, '$.changes') = 0 THEN ''
    WHEN kind IN ('made', 'gone') THEN 'name status scopes user_scopes client_id consumer_key oauth_redirect_uri restrict_to_following_tools tools_available_for_execution tools_for_connected_account_creation proxy_url is_enabled_for_tool_router credentials'
    ELSE (SELECT group_concat(c.value ->> 'field', ' ') FROM json_each(j, '$.changes') c)
  END
FROM (
  SELECT seq, CAST(body AS TEXT) AS j, CAST(body AS TEXT) ->> 'action' AS action,
    CASE CAST(body AS TEXT) ->> 'action'
      WHEN 'auth_config.created' THEN 'made' WHEN 'auth_config.created_outside' THEN 'made' WHEN 'auth_config.duplicate_found' THEN 'made'
      WHEN 'auth_config.updated' THEN 'changed' WHEN 'auth_config.enabled' THEN 'changed' WHEN 'auth_config.disabled' THEN 'changed'
      WHEN 'auth_config.changed_outside' THEN 'changed' WHEN 'auth_config.touched_outside' THEN 'changed'
      WHEN 'apply.declared_done' THEN 'changed'
      WHEN 'auth_config.deleted' THEN 'gone' WHEN 'auth_config.deleted_outside' THEN 'gone'
      WHEN 'project.baseline' THEN 'read'
    END AS kind
  FROM history
)
WHERE kind IS NOT NULL AND j ->> 'project' <> '' AND (j ->> '$.object.id' <> '' OR kind = 'read');

-- +goose StatementBegin
CREATE TRIGGER config_step_no_update BEFORE UPDATE ON config_step
BEGIN SELECT RAISE(ABORT, 'steps never change'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER config_step_no_delete BEFORE DELETE ON config_step
BEGIN SELECT RAISE(ABORT, 'steps never change'); END;
-- +goose StatementEnd

-- What somebody changed at Composio directly and nobody has dealt with yet.
CREATE TABLE drift (
  project_id     TEXT NOT NULL,
  auth_config_id TEXT NOT NULL,
  name           TEXT NOT NULL,
  kind           TEXT NOT NULL,
  changes        TEXT NOT NULL, -- JSON: before the first change outside and after the last
  touched        BOOLEAN NOT NULL, -- a credential may have changed
  first_seq      BIGINT NOT NULL, -- the entry that opened it
  last_seq       BIGINT NOT NULL, -- and the last that changed it
  found_at       BIGINT NOT NULL,
  until          BIGINT NOT NULL, -- ignored until then; 0 while open
  PRIMARY KEY (project_id, auth_config_id)
);
CREATE INDEX drift_until ON drift (until) WHERE until > 0;
