package health

import (
	"time"

	"gatehouse/internal/change"
)

// Diagnostics are a report as a file to hand to whoever helps. They name projects,
// sinks and channels, and hold no credential, no address of a receiver and nothing
// about people.
type Diagnostics struct {
	At       time.Time            `json:"at"`
	State    State                `json:"state"`
	Troubles []string             `json:"troubles"`
	Program  programPart          `json:"program"`
	Files    map[string]int64     `json:"file_bytes"`
	History  historyPart          `json:"history"`
	Projects []projectPart        `json:"projects"`
	Changes  map[change.State]int `json:"open_changes"`
	Outbox   outboxPart           `json:"notifications"`
	Sinks    []sinkPart           `json:"sinks"`
	Backup   *time.Time           `json:"last_backup"`
	Errors   []errorPart          `json:"errors"`
}

type programPart struct {
	Build   string    `json:"build"`
	Go      string    `json:"go"`
	Schema  int64     `json:"schema"`
	Started time.Time `json:"started"`
}

type historyPart struct {
	Entries  int64      `json:"entries"`
	Indexed  int64      `json:"indexed"`
	Verified int64      `json:"verified"`
	At       *time.Time `json:"verified_at"`
	Whole    *time.Time `json:"verified_whole_at"`
	Signed   *time.Time `json:"signed_at"`
	Problem  string     `json:"problem"`
	Months   int        `json:"kept_months"`
}

type projectPart struct {
	Slug     string     `json:"slug"`
	Configs  int        `json:"auth_configs"`
	Synced   *time.Time `json:"synced_at"`
	Problem  string     `json:"problem"`
	ReadOnly bool       `json:"read_only"`
}

type outboxPart struct {
	Due     int        `json:"due"`
	Since   *time.Time `json:"since"`
	GivenUp int        `json:"given_up"`
	Mail    string     `json:"mail_problem"`
}

type sinkPart struct {
	Name    string     `json:"name"`
	Kind    string     `json:"kind"`
	Paused  bool       `json:"paused"`
	Behind  int64      `json:"behind"`
	Since   *time.Time `json:"since"`
	Problem string     `json:"problem"`
}

type errorPart struct {
	At      time.Time `json:"at"`
	Message string    `json:"message"`
	Text    string    `json:"error"`
	Request string    `json:"request"`
}

// Diagnostics returns the report as diagnostics.
func (r Report) Diagnostics() Diagnostics {
	d := Diagnostics{
		At: r.At, State: r.State(), Troubles: []string{}, Projects: []projectPart{}, Sinks: []sinkPart{}, Errors: []errorPart{},
		Program: programPart{r.Build, r.Go, r.Load.Schema, r.Started}, Files: r.Load.Files, Changes: r.Load.Changes, Backup: moment(r.BackupAt),
		History: historyPart{
			Entries: r.Head, Indexed: r.Indexed, Verified: r.Known.Size, At: moment(r.Known.At), Whole: moment(r.Known.WholeAt), Signed: moment(r.Known.SignedAt), Months: r.Archive.Months,
		},
		Outbox: outboxPart{r.Load.Deliveries, moment(r.Load.DueAt), r.Load.GivenUp, r.Mail.Problem},
	}
	if r.Known.Problem != nil {
		d.History.Problem = r.Known.Problem.Error()
	}
	for _, t := range r.Troubles {
		d.Troubles = append(d.Troubles, t.What)
	}
	for _, p := range r.Projects {
		d.Projects = append(d.Projects, projectPart{p.Slug, p.Configs, moment(p.Sync.OKAt), p.Sync.Problem, p.ReadOnly})
	}
	for _, k := range r.Sinks {
		d.Sinks = append(d.Sinks, sinkPart{k.Name, k.Kind, k.Paused, k.Behind, moment(k.Since), k.Health.Problem})
	}
	for _, e := range r.Errors {
		d.Errors = append(d.Errors, errorPart(e))
	}
	return d
}

// moment is a time, or nothing where it never was.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
