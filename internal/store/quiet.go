package store

import "context"

// A quietWrite names a write that leaves no history entry.
type quietWrite string

// The writes without history: the list of house rules, and nothing else.
const (
	lastSeen        quietWrite = "last-seen times of sessions"
	guessCounts     quietWrite = "counters of failed sign-ins"
	mirrorData      quietWrite = "what a sync or a toolkit read refreshed"
	arrivals        quietWrite = "ways to identity providers that were used up, and when identities were last used"
	formDrafts      quietWrite = "forms being typed, and where a form's answer led"
	housekeeping    quietWrite = "sessions, links, devices, tokens and drafts long past their end"
	keyCheck        quietWrite = "the constant that tells the right key file"
	outgoing        quietWrite = "the outbox, what people have to read, and what waits to be sent"
	checkpoints     quietWrite = "signed checkpoints, which are evidence about history"
	anchors         quietWrite = "how far anchors have come"
	erasures        quietWrite = "that an erasure on record is done"
	spentChallenges quietWrite = "challenges for passkeys that were answered"
	tokenUses       quietWrite = "when API tokens were last used"
	restored        quietWrite = "sessions and links that came back with a backup"
	sinkCursors     quietWrite = "how far sinks are, and how it went"
)

// quiet runs fn in a transaction that leaves no history. What a refresh read and
// what people have to read is seen by everybody; the others concern no page that
// is kept.
func (s *Store) quiet(ctx context.Context, kind quietWrite, fn func(*tx) error) error {
	return s.writer.do(ctx, func(t *tx) error {
		t.unseen = kind != mirrorData && kind != outgoing
		return fn(t)
	})
}
