// Package audit defines history: what an entry says, the exact bytes that are
// kept of it, and the hash chain that ties each entry to the one before.
package audit

import (
	"time"
)

// Kinds of actor.
const (
	ActorUser    = "user"    // a person who is signed in
	ActorSystem  = "system"  // Gatehouse itself: schedules, start-up, subcommands
	ActorOutside = "outside" // somebody who changed something at Composio directly
	ActorUnknown = "unknown" // nobody is signed in
)

// Outcomes of an action.
const (
	OK      = "ok"
	Denied  = "denied"  // refused before anything happened
	Failed  = "failed"  // tried, and certainly did not happen
	Unknown = "unknown" // tried, and it is not known whether it happened
)

// An Actor is who did something. Name, Email, IP and Agent are personal data:
// they are kept beside the chain and only their commitments are in it.
type Actor struct {
	Kind  string
	ID    string // usr_…, empty unless Kind is ActorUser
	Name  string // as it was at the time
	Email string
	IP    string
	Agent string

	Token     string // tok_…, if they acted through an API token
	TokenName string // as it was at the time
}

// System is the actor of what Gatehouse does by itself.
func System() Actor { return Actor{Kind: ActorSystem} }

// An Object is what something was done to.
type Object struct {
	Kind string // auth_config, change_request, user, session, token, project, policy, toolkit, history, channel, review, evidence, sink, search
	ID   string
	Name string // as it was at the time; personal data when Kind is user or session
}

// A Change is the before and after of one field. Credentials are given as
// keyed fingerprints, never as values.
type Change struct {
	Field  string   `json:"field"`
	Before []string `json:"before"`
	After  []string `json:"after"`
}

// An Event is one thing that happened, before it is sealed into the chain.
type Event struct {
	Actor   Actor
	Action  string // such as auth_config.disabled
	Object  Object
	Project string // prj_…, empty for what belongs to no project
	Request string // chg_…, empty outside change requests
	Outcome string // empty means OK
	Changes []Change
	Reason  string            // in the actor's words; kept beside the chain
	Detail  map[string]string // further facts, no personal data and no credentials
}

// Weighty reports whether a checkpoint should be signed right after e: what
// people agreed to, and what became of it.
func (e Event) Weighty() bool {
	switch e.Action {
	case "change.voted", "change.approved", "change.bypassed", "change.applied", "change.partial", "change.failed":
		return true
	}
	return false
}

// An Entry is an event in its place in the chain.
type Entry struct {
	Event
	Seq  int64
	Time time.Time // microseconds, UTC
}

// Concerns reports whether a piece of personal data of an entry is that of a
// person, with the address that they had. Reasons are evidence and stay.
func (p Personal) Concerns(e Entry, person, address string) bool {
	switch {
	case p.Field == personalReason:
		return false
	case p.Field == personalObject && e.Object.Kind == "user":
		return e.Object.ID == person
	case e.Actor.Kind == ActorUser:
		return e.Actor.ID == person
	}
	return e.Actor.Email != "" && e.Actor.Email == address
}
