-- +goose Up

-- Whom a remark asks: who was ever asked about a flag is no judge of it.
ALTER TABLE review_remark ADD COLUMN to_id TEXT NOT NULL DEFAULT '';
