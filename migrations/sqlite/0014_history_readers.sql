-- +goose Up

-- Which roles read a project's history, names with spaces between. Auditors and
-- admins always do.
ALTER TABLE project ADD COLUMN history_roles TEXT NOT NULL DEFAULT 'viewer editor approver';
