// Package health says how a running console is doing: to whoever watches it from
// outside (/readyz, metrics) and to its operators (the page in Settings).
package health

import (
	"context"
	"log/slog"
	"runtime"
	"time"

	"gatehouse/internal/archive"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/notify"
	"gatehouse/internal/sink"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// A State is how the whole console is.
type State string

// The states. One that is degraded serves every request that doesn't need what
// fails; one that isn't ready can't be relied on for any.
const (
	Ready    State = "ok"
	Degraded State = "degraded"
	NotReady State = "not ready"
)

// A Trouble is one thing that isn't as it should be.
type Trouble struct {
	What string // a sentence
	Do   string // what to do about it
}

// A Report is how a console is at one moment.
type Report struct {
	At        time.Time
	Build, Go string
	Started   time.Time
	Load      store.Load
	Head      int64 // number of the newest entry of history
	Indexed   int64 // up to which entry history can be searched
	Known     witness.Knowledge
	Archive   archive.State
	Projects  []Project
	Sinks     []sink.Status
	Channels  []notify.Channel
	Mail      notify.Health
	BackupAt  time.Time // of the last backup that was recorded; zero if there is none
	Troubles  []Trouble
	Errors    []Error // that were logged last, the newest first
	Failed    bool    // the database failed
}

// A Project is how reading one project goes.
type Project struct {
	mirror.Project
	Configs int
}

// Parts are what a report is about.
type Parts struct {
	Store   *store.Store
	Notify  *notify.Service
	Sinks   *sink.Service
	Witness *witness.Service
	Archive *archive.Service
	Errors  *Errors
	Build   string
	Sync    time.Duration // between two syncs
	Now     func() time.Time
}

// A Service makes reports.
type Service struct {
	Parts
	started time.Time
}

// NewService returns a service. The console counts as started now.
func NewService(p Parts) *Service { return &Service{p, p.Now()} }

// Report looks at everything. It costs the same however long history is.
func (s *Service) Report(ctx context.Context) (Report, error) {
	r := Report{At: s.Now(), Build: s.Build, Go: runtime.Version(), Started: s.started, Known: s.Witness.Known(), Archive: s.Archive.State(), Errors: s.Errors.Last()}
	for _, look := range []func(context.Context, *Report) error{s.database, s.projects, s.outgoing, s.backup} {
		if err := look(ctx, &r); err != nil {
			return r, err
		}
	}
	r.Troubles = s.troubles(r)
	return r, nil
}

func (s *Service) database(ctx context.Context, r *Report) (err error) {
	select {
	case <-s.Store.Failed():
		r.Failed = true
	default:
	}
	head, err := s.Store.HistoryHead(ctx)
	if err != nil {
		return err
	}
	r.Head, r.Indexed = head.Seq, s.Store.HistoryIndexed()
	r.Load, err = s.Store.Load(ctx)
	return err
}

func (s *Service) projects(ctx context.Context, r *Report) error {
	all, err := s.Store.Projects(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Archived() {
			continue
		}
		snapshot, err := s.Store.Snapshot(ctx, p.ID)
		if err != nil {
			return err
		}
		r.Projects = append(r.Projects, Project{p, snapshot.Len()})
	}
	return nil
}

func (s *Service) outgoing(ctx context.Context, r *Report) (err error) {
	if r.Sinks, err = s.Sinks.Sinks(ctx); err != nil {
		return err
	}
	r.Channels, r.Mail, err = s.Notify.Channels(ctx)
	return err
}

// BackedUp is the action of the entry that records a backup.
const BackedUp = "database.backed_up"

func (s *Service) backup(ctx context.Context, r *Report) error {
	found, err := s.Store.History(ctx, store.HistoryQuery{Action: BackedUp, Limit: 1})
	if len(found) > 0 {
		r.BackupAt = found[0].Time
	}
	return err
}

// State sums a report up.
func (r Report) State() State {
	switch {
	case r.Failed:
		return NotReady
	case len(r.Troubles) > 0:
		return Degraded
	}
	return Ready
}

// State is [Report.State], where a report that can't be made counts as not ready.
func (s *Service) State(ctx context.Context, log *slog.Logger) State {
	r, err := s.Report(ctx)
	if err != nil {
		log.Error("look how the console is", "err", err)
		return NotReady
	}
	return r.State()
}

// unknownFor is how long an outcome may be unknown before somebody should look.
const unknownFor = 15 * time.Minute

// lateFor is how long a message may wait before its receiver counts as down.
const lateFor = 15 * time.Minute

func (s *Service) troubles(r Report) (all []Trouble) {
	add := func(bad bool, what, do string) {
		if bad {
			all = append(all, Trouble{what, do})
		}
	}
	add(r.Failed, "The database failed.", "Look at disk and log, and start the console again: it reads the database afresh.")
	add(r.Known.Problem != nil, "History is not as it was written.", "Open History, Integrity, and follow docs/audit.md.")
	for _, p := range r.Projects {
		add(s.stale(p, r.At), "Composio was not read for project "+p.Slug+" lately.", "Open the project's settings: they say why.")
	}
	add(r.Load.Changes[change.Unknown] > 0 && r.At.Sub(r.Load.UnknownAt) > unknownFor, "A change has an unknown outcome.", "Open Changes, Unknown, and say what happened.")
	add(!r.Load.DueAt.IsZero() && r.At.Sub(r.Load.DueAt) > lateFor, "Notifications wait to be sent.", "Open Settings, Notifications: it says which and why.")
	for _, k := range r.Sinks {
		add(!k.Paused && k.Behind > 0 && r.At.Sub(k.Since) > lateFor, "The sink "+k.Name+" is behind.", "Open Settings, Sinks: it says why.")
	}
	add(r.Archive.Problem != "", "A month of history couldn't be archived.", "Open History, Integrity: it says why.")
	return all
}

// stale reports whether several syncs in a row brought nothing.
func (s *Service) stale(p Project, now time.Time) bool {
	since := p.Sync.OKAt
	if since.IsZero() {
		since = s.started
	}
	return now.Sub(since) > max(5*s.Sync, 5*time.Minute)
}
