-- +goose Up

-- Systems that history is streamed to. Address and key lie sealed.
CREATE TABLE sink (
  id             TEXT PRIMARY KEY,
  kind           TEXT NOT NULL,
  name           TEXT NOT NULL UNIQUE,
  format         TEXT NOT NULL,
  shown          TEXT NOT NULL, -- what of the address may be seen
  address_sealed BLOB NOT NULL,
  key_sealed     BLOB NOT NULL, -- empty unless deliveries are signed
  filter         TEXT NOT NULL, -- a history query
  personal       BOOLEAN NOT NULL,
  paused         BOOLEAN NOT NULL,
  created_at     BIGINT NOT NULL
);

-- How far each is, and how it went.
CREATE TABLE sink_progress (
  id        TEXT PRIMARY KEY REFERENCES sink (id),
  cursor    BIGINT NOT NULL, -- the last entry that is done with
  epoch     BIGINT NOT NULL, -- grows when the cursor is set by hand
  ok_at     BIGINT NOT NULL,
  failed_at BIGINT NOT NULL,
  problem   TEXT NOT NULL,
  tries     BIGINT NOT NULL, -- since the last success
  due_at    BIGINT NOT NULL
);
