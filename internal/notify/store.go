package notify

import (
	"context"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
)

// A Store keeps what is to be told, to whom, and how they want to hear. What is
// missing is a problem of kind NotFound.
type Store interface {
	Request(ctx context.Context, id string) (change.Request, error)
	Project(ctx context.Context, id string) (mirror.Project, error)
	Users(ctx context.Context) ([]access.User, error)
	// Watchers returns the ids of who watches a change request.
	Watchers(ctx context.Context, requestID string) ([]string, error)
	HistoryEntry(ctx context.Context, seq int64) (audit.Entry, error)

	// Outbox returns the first entries that people are still to hear of.
	Outbox(ctx context.Context, limit int) ([]int64, error)
	// Spread takes an entry out of the outbox and keeps what came of it.
	Spread(ctx context.Context, seq int64, notices []Notice, deliveries []Delivery) error
	// News gets a value when something may be in the outbox.
	News() <-chan struct{}

	// Lanes returns for each lane with deliveries that wait when the first is due.
	Lanes(ctx context.Context) (map[string]time.Time, error)
	// Waiting returns the first deliveries of a lane that wait.
	Waiting(ctx context.Context, lane string, limit int) ([]Delivery, error)
	// Sent removes deliveries; the health of their channel is good.
	Sent(ctx context.Context, d []Delivery) error
	// Postpone keeps deliveries that failed; their Problem is the channel's.
	Postpone(ctx context.Context, d []Delivery) error

	// Pending returns deliveries that failed, were given up, or wait though they were
	// due by a time, the newest first.
	Pending(ctx context.Context, by time.Time, limit int) ([]Delivery, error)

	// Notices returns what a person was told before an entry, the newest first; 0 is now.
	Notices(ctx context.Context, userID string, before int64, limit int) ([]Notice, error)
	Unread(ctx context.Context, userID string) (int, error)
	MarkRead(ctx context.Context, userID string, upTo int64) error
	Preferences(ctx context.Context, userID string) (Preferences, error)
	SetPreferences(ctx context.Context, userID string, p Preferences, e audit.Event) error

	// Searches returns a person's saved searches and those that are shared, by name.
	Searches(ctx context.Context, userID string) ([]Search, error)
	AddSearch(ctx context.Context, q Search, e audit.Event) error
	// UpdateSearch saves name and sharing; the digests of others end with sharing.
	UpdateSearch(ctx context.Context, id string, fn func(*Search) (audit.Event, error)) error
	RemoveSearch(ctx context.Context, id string, e audit.Event) error
	// FollowSearch has a person mailed what a search finds from now on; never if
	// every is empty.
	FollowSearch(ctx context.Context, id, userID string, every Digest, due time.Time, e audit.Event) error
	DueSearches(ctx context.Context, now time.Time) ([]DueSearch, error)
	// SentSearch keeps up to which entry a person knows what a search finds.
	SentSearch(ctx context.Context, id, userID string, upTo int64, next time.Time) error
	// FoundSince returns the newest entries that a person's search finds in a part of
	// history.
	FoundSince(ctx context.Context, text string, by access.User, after, upTo int64, limit int) ([]audit.Entry, error)
	HistoryHead(ctx context.Context) (audit.Head, error)

	Channel(ctx context.Context, id string) (Channel, error)
	Channels(ctx context.Context) ([]Channel, error)
	AddChannel(ctx context.Context, c Channel, e audit.Event) error
	// RemoveChannel removes a channel and what waits for it.
	RemoveChannel(ctx context.Context, id string, e audit.Event) error
	// Health is how the last messages to a channel, or [MailChannel], went.
	Health(ctx context.Context, channel string) (Health, error)
	// TestedChannel keeps how a test went; an empty problem is success.
	TestedChannel(ctx context.Context, id, problem string, e audit.Event) error
}
