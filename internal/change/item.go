package change

import (
	"time"

	"gatehouse/internal/composio"
	"gatehouse/internal/mirror"
)

// An Operation is what an item does to its auth config.
type Operation string

// The operations.
const (
	Create  Operation = "create"
	Update  Operation = "update"
	Enable  Operation = "enable"
	Disable Operation = "disable"
	Delete  Operation = "delete"
)

// A Kind is what an item changes. All but auth configs are rules of ours, which
// change in our own database.
type Kind string

// The kinds.
const (
	KindConfig     Kind = "auth_config"
	KindPolicy     Kind = "policy"
	KindRoles      Kind = "role"             // the roles of a person
	KindGroup      Kind = "group"            // a group's name, members and roles
	KindCustomRole Kind = "custom_role"      // a role that people made
	KindBreakGlass Kind = "break_glass"      // the break-glass list
	KindFreeze     Kind = "freeze"           // a freeze window
	KindProject    Kind = "project"          // the environment of a project, which decides its policies
	KindClient     Kind = "directory_client" // a client of a directory, which says who is in its groups
)

// An Item is the part of a revision that is about one auth config or one rule.
type Item struct {
	Kind        Kind
	Operation   Operation
	Target      string // ac_…, pol_…, usr_… and so on, empty for a create
	Name        string // of the config, as it was when written
	Toolkit     string
	Scheme      string
	Managed     bool
	Set         mirror.Values // touched fields and what they shall hold; an empty list clears
	Base        mirror.Values // what the operation relies on, as it was when written
	Credentials []Credential  // to be set, by field
	ScopeForm   composio.ScopeForm
	Marker      string // ends a create's name until it is settled; empty if markers are off
	Revoke      bool   // delete: also revoke the connections' credentials at the provider
	Impact      Impact
}

// A Credential stands for a value that waits, sealed, to be sent.
type Credential struct {
	Field       string
	Fingerprint string
	LengthClass string
	By          Author // who typed it
	At          time.Time
}

// An Impact is how many connections a change touches, counted when it was written.
type Impact struct {
	Counted     bool
	Connections int
	ByStatus    map[string]int
}

// ItemState says how far an item has come.
type ItemState string

// The states of an item.
const (
	ItemPending    ItemState = "pending"
	ItemApplying   ItemState = "applying"
	ItemApplied    ItemState = "applied"
	ItemFailed     ItemState = "failed"
	ItemUnknown    ItemState = "unknown"
	ItemSuperseded ItemState = "superseded" // it was so already; nothing was sent
)

// A Step is one remote write of an item. Most items have one; a create with a
// marker is followed by the rename that takes it off.
type Step string

// The steps.
const (
	StepMain   Step = "main"
	StepRename Step = "rename"
)

// Progress is how far one item has come.
type Progress struct {
	Target   string // ac_… once known
	State    ItemState
	Step     Step
	Attempts int    // of this step
	Decide   bool   // only a person can say what happened
	Maybe    bool   // an earlier attempt may have had an effect that can't be read
	Note     string // in words for readers
}

// Done reports whether nothing is left to do for the item.
func (p Progress) Done() bool {
	return p.State == ItemApplied || p.State == ItemSuperseded || p.State == ItemFailed
}

// An Attempt is one try at one step, recorded before the first byte leaves.
type Attempt struct {
	Request    string
	Revision   int
	Item       int
	Number     int // over all steps; also the fencing number
	Step       Step
	Digest     string // of the request body without credentials
	LeaseOwner string
	LeaseUntil time.Time
	Answer     string // what came back, for the record
	Outcome    string // empty while open
	StartedAt  time.Time
	EndedAt    time.Time
}
