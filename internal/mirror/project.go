package mirror

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/access"
	"gatehouse/internal/composio"
	"gatehouse/internal/problem"
)

// Environments of a project.
const (
	Development = "development"
	Staging     = "staging"
	Production  = "production"
)

// Environments lists all environments, the gentlest first.
func Environments() []string { return []string{Development, Staging, Production} }

// A Project is one Composio project.
type Project struct {
	ID          string // prj_…
	Slug        string // in URLs; never changes
	Name        string
	Environment string
	BaseURL     string
	Key         Key
	ReadOnly    bool          // Composio refused a write for want of permission
	Markers     bool          // creates carry a marker in the name until they are settled
	Readers     []access.Role // who may read its history, beside auditors and admins
	RemoteID    string        // Composio's own id of the project, if the key may know
	RemoteName  string        // what Composio calls the project, if the key may know
	CreatedAt   time.Time
	ArchivedAt  time.Time // zero while in use
	Sync        SyncState
}

// A Key is a project's API key, sealed.
type Key struct {
	Sealed      []byte
	Last4       string
	Fingerprint string
	SetAt       time.Time
}

// A SyncState says how the last sync of a project went.
type SyncState struct {
	Baseline  bool      // the first sync is done
	StartedAt time.Time // of the last attempt
	OKAt      time.Time // when the mirror was last known to be true; zero if never
	Problem   string    // why the last attempt failed, in words for readers; empty if it didn't
}

// Archived reports whether the project is out of use.
func (p Project) Archived() bool { return !p.ArchivedAt.IsZero() }

// Place is the project as a whole.
func (p Project) Place() access.Place { return p.At("") }

// At is a toolkit of the project.
func (p Project) At(toolkit string) access.Place {
	return access.Place{Project: p.ID, Environment: p.Environment, Toolkit: toolkit}
}

// ReaderRoles lists the roles that a project's history may be kept from.
func ReaderRoles() []access.Role { return []access.Role{access.Viewer, access.Editor, access.Approver} }

// ReadBy reports whether somebody may read all of the project's history.
func (p Project) ReadBy(u access.User) bool { return p.PartReadBy(u, "") }

// PartReadBy reports whether somebody may read what the project's history tells of
// a toolkit. Roles that people made read where no role is left out.
func (p Project) PartReadBy(u access.User, toolkit string) bool {
	return slices.ContainsFunc(u.In(p.At(toolkit)), func(g access.Grant) bool {
		return g.Allowing(access.ViewPersonal) || g.Allowing(access.ViewHistory) && p.readBy(g.Role)
	})
}

func (p Project) readBy(r access.Role) bool {
	if r.Custom() {
		return len(p.Readers) == len(ReaderRoles())
	}
	return slices.Contains(p.Readers, r) || r == access.Auditor || r == access.Admin
}

func roleNames(roles []access.Role) []string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return names
}

// ProjectInput is what is typed about a project.
type ProjectInput struct {
	Name        string
	Slug        string
	Environment string
	BaseURL     string
}

var slugPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// check tidies what was typed and returns a complaint per field.
func (in *ProjectInput) check() map[string]string {
	complaints := map[string]string{}
	in.Name = strings.Join(strings.Fields(in.Name), " ")
	in.BaseURL = strings.TrimRight(strings.TrimSpace(in.BaseURL), "/")
	if in.BaseURL == "" {
		in.BaseURL = composio.DefaultBaseURL
	}
	switch {
	case in.Name == "":
		complaints["name"] = "Enter a name."
	case len([]rune(in.Name)) > 80:
		complaints["name"] = "Use at most 80 characters."
	case strings.ContainsFunc(in.Name, func(r rune) bool { return unicode.In(r, unicode.C) }):
		complaints["name"] = "Leave out control characters."
	}
	if !slugPattern.MatchString(in.Slug) {
		complaints["slug"] = "Use 1 to 40 lower-case letters, digits and hyphens, such as my-project."
	}
	if in.Environment != Development && in.Environment != Staging && in.Environment != Production {
		complaints["environment"] = "Choose development, staging or production."
	}
	if _, err := composio.CheckBaseURL(in.BaseURL); err != nil {
		complaints["base_url"] = "Enter an address such as https://backend.composio.dev, without a path."
	}
	return complaints
}

func invalid(complaints map[string]string) error {
	if len(complaints) == 0 {
		return nil
	}
	return problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", complaints)
}

// Callback is the redirect URI that Composio gives new OAuth auth configs. An
// imitation on this machine names the public one, too.
func (p Project) Callback() string {
	base := p.BaseURL
	if u, err := url.Parse(base); err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()) {
		base = composio.DefaultBaseURL
	}
	return base + "/api/v3.1/toolkits/auth/callback"
}
