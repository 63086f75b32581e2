package mirror

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/bell"
	"gatehouse/internal/composio"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Store keeps projects and what was read of them. Methods that take events
// write them in the transaction of the change. What is missing is a problem of
// kind NotFound.
type Store interface {
	DriftStore
	Projects(ctx context.Context) ([]Project, error) // by name, archived ones too
	Project(ctx context.Context, id string) (Project, error)
	// AddProject also gives the project its first policy. A slug that is taken is
	// a problem with the field slug.
	AddProject(ctx context.Context, p Project, e audit.Event) error
	UpdateProject(ctx context.Context, id string, fn func(*Project) ([]audit.Event, error)) (Project, error)

	Snapshot(ctx context.Context, projectID string) (*Snapshot, error)
	// SaveSync lets fn decide, inside the transaction, what a part of a sync changes.
	SaveSync(ctx context.Context, projectID string, fn func(Current) (Update, error)) error
	// FailSync notes why a sync came to nothing. It writes no history.
	FailSync(ctx context.Context, projectID string, at time.Time, reason string) error

	Toolkits(ctx context.Context, projectID string) ([]Toolkit, time.Time, error) // by name, and when they were read
	SaveToolkits(ctx context.Context, projectID string, all []Toolkit, at time.Time) error
	ToolkitDetail(ctx context.Context, projectID, slug string) (ToolkitDetail, error)
	SaveToolkitDetail(ctx context.Context, projectID string, d ToolkitDetail) error
	Tools(ctx context.Context, projectID, toolkit string) ([]Tool, time.Time, error)
	SaveTools(ctx context.Context, projectID, toolkit string, tools []Tool, at time.Time) error
}

// Current is what a sync may look at inside its transaction.
type Current interface {
	// Config returns a config as the mirror has it now.
	Config(id string) (AuthConfig, bool, error)
	// Busy reports whether a change request is working on the config, or on one
	// of this name that it is creating.
	Busy(id, name string) (bool, error)
}

// An Update is what a sync changes in the mirror.
type Update struct {
	State   SyncState    // zero but in the last part
	Changed []AuthConfig // new ones too
	Gone    []string
	Events  []audit.Event
}

// A Service reads Composio for the mirror, and looks after projects.
type Service struct {
	store    Store
	keys     *secret.Keyring
	settings Settings
	now      func() time.Time
	log      *slog.Logger

	mu       sync.Mutex
	clients  map[string]client
	progress map[string]*syncRun
	wake     chan struct{}
	activity atomic.Int64
	changed  bell.Bell
	ctx      context.Context // of Run; syncs outlive requests but not the program
	group    sync.WaitGroup
}

// Activity grows whenever what [Service.Syncing] says changes.
func (s *Service) Activity() int64 { return s.activity.Load() }

// Changed returns a channel that is closed when the next sync begins or ends.
func (s *Service) Changed() <-chan struct{} { return s.changed.Next() }

// act notes that a sync began or ended.
func (s *Service) act() {
	s.activity.Add(1)
	s.changed.Ring()
}

// Settings are how the service works.
type Settings struct {
	SyncInterval time.Duration
	APIVersion   string        // of Composio's API, such as v3.1
	Timeout      time.Duration // of one call
	ReadBudget   int           // reads a minute of one project; 0 means no limit
}

type client struct {
	*composio.Client
	madeFor clientKey
}

type clientKey struct {
	baseURL string
	setAt   time.Time
}

// NewService returns a service over a store.
func NewService(store Store, keys *secret.Keyring, settings Settings, now func() time.Time, log *slog.Logger) *Service {
	return &Service{
		store: store, keys: keys, settings: settings, now: now, log: log,
		clients: map[string]client{}, progress: map[string]*syncRun{}, wake: make(chan struct{}, 1), ctx: context.Background(),
	}
}

const (
	tableProject = "project"
	fieldKey     = "api_key"
)

// Client returns the client for a project. Archived projects have none.
func (s *Service) Client(ctx context.Context, projectID string) (*composio.Client, error) {
	p, err := s.store.Project(ctx, projectID)
	if err != nil {
		return nil, err
	}
	if p.Archived() {
		return nil, problem.New(problem.Conflict, "The project %s is archived. Nothing is sent to it.", p.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	want := clientKey{p.BaseURL, p.Key.SetAt}
	if c, ok := s.clients[p.ID]; ok && c.madeFor == want {
		return c.Client, nil
	}
	key, err := s.keys.Open(p.Key.Sealed, tableProject, p.ID, fieldKey)
	if err != nil {
		return nil, problem.New(problem.Unavailable, "The API key of %s can't be opened with the key file in use. Replace the API key in Settings.", p.Name).Because(err)
	}
	c, err := s.newClient(p.BaseURL, key)
	if err != nil {
		return nil, err
	}
	if old, ok := s.clients[p.ID]; ok {
		old.Close()
	}
	s.clients[p.ID] = client{c, want}
	return c, nil
}

func (s *Service) newClient(baseURL string, key secret.Value) (*composio.Client, error) {
	return composio.New(baseURL, key, composio.WithVersion(s.settings.APIVersion), composio.WithTimeout(s.settings.Timeout), composio.WithReadBudget(s.settings.ReadBudget))
}

// Refusal turns an error of the client into words for readers: what happened,
// and what to do. It says nothing about whether something changed remotely;
// the caller knows.
func Refusal(err error) *problem.Error {
	if p := problem.Of(err); p != nil {
		return p
	}
	var e *composio.Error
	var te *composio.TransportError
	unavailable := func(format string, args ...any) *problem.Error {
		return problem.New(problem.Unavailable, format, args...).Because(err)
	}
	switch {
	case errors.As(err, &e):
		p := statusRefusal(e)
		p.RetryAfter = e.RetryAfter
		return p.Because(err)
	case errors.As(err, &te) && !te.Sent:
		return unavailable("Composio can't be reached. Check the network and the project's base URL.")
	case errors.As(err, &te):
		return unavailable("Composio gave no usable answer in time.")
	}
	return unavailable("Composio could not be read completely.")
}

func statusRefusal(e *composio.Error) *problem.Error {
	switch {
	case e.Status == 401:
		return problem.New(problem.Unavailable, "Composio refused the project's API key. Replace it in Settings.")
	case e.Status == 403:
		return problem.New(problem.Forbidden, "The project's API key lacks the permission for this. Give it more rights at Composio, or replace it in Settings.")
	case e.Status == 404:
		return problem.New(problem.NotFound, "Composio has no such object in this project.")
	case e.Status == 429:
		return problem.New(problem.TooMany, "Composio's rate limit is used up. Wait a minute and try again.")
	case e.Status >= 500:
		return problem.New(problem.Unavailable, "Composio is failing (status %d). Try again later.", e.Status)
	case e.Status >= 300 && e.Status < 400:
		return problem.New(problem.Unavailable, "The project's base URL answers with a redirect, which is not followed. Correct it in Settings.")
	}
	return problem.New(problem.Invalid, "Composio refused this: %s", remoteWords(e))
}

// remoteWords quotes the API's own explanation. It may name fields, not values.
func remoteWords(e *composio.Error) string {
	words := strings.Join(append(append([]string{e.Message}, e.FieldErrors...), e.SuggestedFix), " ")
	if r := []rune(words); len(r) > 500 {
		words = string(r[:500]) + "…"
	}
	return words
}

// ContextWithRequestID makes calls to Composio under ctx carry this id.
func ContextWithRequestID(ctx context.Context, id string) context.Context {
	return composio.ContextWithRequestID(ctx, id)
}
