-- +goose Up

-- Entries of history that people are still to hear of, written with them.
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY REFERENCES history (seq)
);

-- What each person has to read. The words come from history.
CREATE TABLE notification (
  user_id    TEXT NOT NULL REFERENCES users (id),
  seq        BIGINT NOT NULL REFERENCES history (seq),
  why        TEXT NOT NULL,
  read       BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, seq)
);
CREATE INDEX notification_unread ON notification (user_id) WHERE NOT read;
CREATE INDEX notification_created ON notification (created_at);

-- How each person wants to hear; none means the defaults.
CREATE TABLE notification_preference (
  user_id TEXT PRIMARY KEY REFERENCES users (id),
  data    TEXT NOT NULL -- JSON
);

-- Places that are told beside people. Address and key lie sealed.
CREATE TABLE channel (
  id            TEXT PRIMARY KEY,
  kind          TEXT NOT NULL,
  name          TEXT NOT NULL UNIQUE,
  host          TEXT NOT NULL,
  last4         TEXT NOT NULL,
  url_sealed    BLOB NOT NULL,
  secret_sealed BLOB NOT NULL, -- empty unless messages are signed
  topics        TEXT NOT NULL, -- JSON
  created_at    BIGINT NOT NULL
);

-- How the last messages to a place went. Mail has a row of its own.
CREATE TABLE channel_health (
  id        TEXT PRIMARY KEY,
  ok_at     BIGINT NOT NULL,
  failed_at BIGINT NOT NULL,
  problem   TEXT NOT NULL
);

-- Messages that wait to be sent, or were given up. Those of a lane go in order.
CREATE TABLE delivery (
  lane       TEXT NOT NULL,
  channel    TEXT NOT NULL, -- or mail
  user_id    TEXT NOT NULL, -- whom a mail is for, else empty
  seq        BIGINT NOT NULL REFERENCES history (seq),
  why        TEXT NOT NULL,
  tries      BIGINT NOT NULL,
  due_at     BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  given_up   BOOLEAN NOT NULL,
  problem    TEXT NOT NULL,
  PRIMARY KEY (lane, seq)
);
CREATE INDEX delivery_waiting ON delivery (lane, seq) WHERE NOT given_up;
CREATE INDEX delivery_created ON delivery (created_at);
