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
	Projects(ctx context.Context) ([]mirror.Project, error)
	Snapshot(ctx context.Context, projectID string) (*mirror.Snapshot, error)
	Rules(ctx context.Context) (Rules, error)
	Users(ctx context.Context) ([]access.User, error)

	Request(ctx context.Context, id string) (Request, error)
	// AddRequest keeps a new request with its sealed credentials. fn decides
	// inside the transaction and may still refuse.
	AddRequest(ctx context.Context, r *Request, sealed []Sealed, fn func(Facts) ([]audit.Event, error)) error
	// AddRevocation keeps a new request of an access review, and with it, in one
	// transaction, what is decided there.
	AddRevocation(ctx context.Context, r *Request, review string, decide func(*access.Review) (audit.Event, error), fn func(Facts) ([]audit.Event, error)) error
	// UpdateRequest lets fn change a request inside a transaction; it must not
	// call the network. Events and the other effects are written with it.
	UpdateRequest(ctx context.Context, id string, fn func(*Request, Facts) (Effect, error)) (Request, error)
	// Unfinished lists the ids of requests that are approved, applying or unknown,
	// and of those whose schedule has come.
	Unfinished(ctx context.Context, now time.Time) ([]string, error)
	// NextDue returns when the next schedule comes; zero if there is none.
	NextDue(ctx context.Context) (time.Time, error)
	// OpenRequests returns the requests that are not ended, whole, the oldest first.
	OpenRequests(ctx context.Context) ([]Request, error)
	// RequestsSince returns the requests that were made since then and those that
	// are open, as they are to be, without progress and votes.
	RequestsSince(ctx context.Context, since time.Time) ([]Request, error)
	// ReviewBypass adds the review of a bypass, also to an ended request.
	ReviewBypass(ctx context.Context, id string, fn func(*Request) (BypassReview, audit.Event, error)) (Request, error)
	// AddComment adds a remark, also to an ended request.
	AddComment(ctx context.Context, id string, fn func(*Request) (Comment, audit.Event, error)) error
	// EditComment changes a remark and keeps what it said before.
	EditComment(ctx context.Context, id, comment string, fn func(*Request, *Comment) (audit.Event, error)) error
	// Watch adds somebody to those who hear of a request, or takes them off.
	Watch(ctx context.Context, id, userID string, on bool, fn func(*Request) (audit.Event, error)) error
	// RecordGuess records that a reviewer compared a value with a credential that
	// waits, unless fn refuses for how often they did before.
	RecordGuess(ctx context.Context, id, userID string, fn func(r *Request, before int) (audit.Event, error)) error
	// Overdue lists the ids of open requests whose time is over.
	Overdue(ctx context.Context, now time.Time) ([]string, error)
	// LastAttempt returns the latest attempt at an item, or a zero one.
	LastAttempt(ctx context.Context, id string, revision, item int) (Attempt, error)
	// SealedCredentials returns the credentials of an item that wait to be sent.
	SealedCredentials(ctx context.Context, id string, item int) ([]Sealed, error)
}

// Facts are what a transition may look at inside its transaction.
type Facts interface {
	Project(id string) (mirror.Project, error)
	Rules() (Rules, error)
	User(id string) (access.User, error)
	People() ([]access.User, error)
	// OpenBypass reports whether a bypass of somebody's waits for its review.
	OpenBypass(userID string) (bool, error)
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
	Claim    []int          // items whose targets are locked; a Conflict if another request has one
	Release  []int          // items whose locks end
	Attempt  *Attempt       // added or updated
	Mirror   []MirrorChange // what is now known of the remote
	Destroy  []int          // items whose sealed credentials are no longer needed
	Revision bool           // the request has a new revision
	Sealed   []Sealed       // credentials of the new revision; those of items in Destroy go first
	Vote     *Vote          // added
	Rules    []RuleChange   // made in our own database
	Next     *Request       // a request that follows from this one, added with it
}

// A RuleChange is a rule as an approved request wants it.
type RuleChange struct {
	Kind   Kind
	ID     string
	Delete bool
	Policy Policy
	Grants []access.Grant // of a person
	Group  access.Group
	List   []string // of the break-glass list
	Freeze Freeze

	Environment string // of the project
	CustomRole  access.CustomRole
	Client      access.Client // of a directory, without a token
}

// A MirrorChange is what a request did to one config.
type MirrorChange struct {
	Config      mirror.AuthConfig // by id; only the id counts when Gone; without Seen it is the request's doing
	Gone        bool
	Credentials []Credential // that were set with it
}
