package change

import (
	"context"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
)

// A Store keeps change requests. What is missing is a problem of kind NotFound.
type Store interface {
	Project(ctx context.Context, id string) (mirror.Project, error)
	Snapshot(ctx context.Context, projectID string) (*mirror.Snapshot, error)
	Policies(ctx context.Context, projectID string) ([]Policy, error)

	Request(ctx context.Context, id string) (Request, error)
	// AddRequest keeps a new request with its sealed credentials. fn decides
	// inside the transaction and may still refuse.
	AddRequest(ctx context.Context, r *Request, sealed []Sealed, fn func(Facts) ([]audit.Event, error)) error
	// UpdateRequest lets fn change a request inside a transaction; it must not
	// call the network. Events and the other effects are written with it.
	UpdateRequest(ctx context.Context, id string, fn func(*Request, Facts) (Effect, error)) (Request, error)
	// Unfinished lists the ids of requests that are approved, applying or unknown.
	Unfinished(ctx context.Context) ([]string, error)
	// Overdue lists the ids of open requests whose time is over.
	Overdue(ctx context.Context, now time.Time) ([]string, error)
	// LastAttempt returns the latest attempt at an item, or a zero one.
	LastAttempt(ctx context.Context, id string, revision, item int) (Attempt, error)
	// SealedCredentials returns the credentials of an item that wait to be sent.
	SealedCredentials(ctx context.Context, id string, item int) ([]Sealed, error)
}

// Facts are what a transition may look at inside its transaction.
type Facts interface {
	Policies(projectID string) ([]Policy, error)
	User(id string) (access.User, error)
	Config(projectID, id string) (mirror.AuthConfig, bool, error)
	// Attempt returns the latest attempt at the same item, or a zero one.
	Attempt(a Attempt) (Attempt, error)
}

// A Sealed is a credential that waits to be sent.
type Sealed struct {
	Item   int
	Field  string
	Sealed []byte
}

// An Effect is what a transition changes beside the request itself.
type Effect struct {
	Events   []audit.Event
	Claim    *Item          // lock its target; a Conflict if another request has it
	Release  []int          // items whose locks end
	Attempt  *Attempt       // added or updated
	Mirror   []MirrorChange // what is now known of the remote
	Destroy  []int          // items whose sealed credentials are no longer needed
	Revision bool           // the request has a new revision
	Next     *Request       // a request that follows from this one, added with it
}

// A MirrorChange is what a request did to one config.
type MirrorChange struct {
	Config      mirror.AuthConfig // by id; only the id counts when Gone; without Seen it is the request's doing
	Gone        bool
	Credentials []Credential // that were set with it
}
