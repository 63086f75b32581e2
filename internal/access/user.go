// Package access knows who people are and what they may do.
package access

import (
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// A Role is a set of permissions. A person may hold several.
type Role string

// The roles. Being admin includes neither proposing nor approving.
const (
	Viewer   Role = "viewer"
	Editor   Role = "editor"
	Approver Role = "approver"
	Auditor  Role = "auditor"
	Admin    Role = "admin"
)

// Roles lists all roles, the humblest first.
func Roles() []Role { return []Role{Viewer, Editor, Approver, Auditor, Admin} }

// States of a user.
const (
	Invited  = "invited"  // has a one-time link and no passphrase yet
	Active   = "active"   // may sign in
	Disabled = "disabled" // may not
)

// A User is a person who may sign in.
type User struct {
	ID         string // usr_…
	Email      string // lower case
	Name       string
	Grants     []Grant  // their own, then those of their groups
	Groups     []string // ids
	State      string
	CreatedAt  time.Time
	LastSignIn time.Time // zero if never
	Emergency  bool      // may sign in with a passphrase where others may not

	SecondFactor bool // has one, which every sign-in asks for
}

// Actor is the user as history names them, acting from an address.
func (u User) Actor(from Origin) audit.Actor {
	return audit.Actor{Kind: audit.ActorUser, ID: u.ID, Name: u.Name, Email: u.Email, IP: from.IP, Agent: from.Agent}
}

func (u User) object() audit.Object { return audit.Object{Kind: "user", ID: u.ID, Name: u.Name} }

// An Origin is where a request came from.
type Origin struct {
	IP    string
	Agent string
}

// A Reader is the signed-in person who makes a request, and from where.
type Reader struct {
	User
	Session  string // ses_…
	Origin   Origin
	Method   string    // how the session began
	ProvedAt time.Time // when they last proved who they are
	Strong   bool      // by a second factor, or a passkey that knew its owner
	Token    string    // tok_…, if a program acts for them through an API token

	token    Token
	operator bool // see [Operator]
}

// Fresh reports whether the reader proved who they are a short while ago. A proof
// from after now, by a clock that was set back, is none.
func (r Reader) Fresh(now time.Time) bool {
	age := now.Sub(r.ProvedAt)
	return age >= 0 && age <= ProofLife
}

// Operator is whoever works on the machine itself, by subcommands and settings.
// They may manage people and projects, and history names them as the system.
func Operator() Reader {
	return Reader{User: User{Grants: Unscoped(Admin), State: Active}, operator: true}
}

// Actor is the reader as history names them.
func (r Reader) Actor() audit.Actor {
	if r.operator {
		return audit.System()
	}
	a := r.User.Actor(r.Origin)
	a.Token, a.TokenName = r.Token, r.token.Name
	return a
}

const (
	maxName  = 100 // characters
	maxEmail = 254 // characters, RFC 5321
)

// cleanEmail returns an address in the form that is stored, or a complaint.
func cleanEmail(s string) (string, string) {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > maxEmail {
		return s, "Enter an e-mail address, such as ada@example.com."
	}
	return s, ""
}

func cleanName(s string) (string, string) {
	s = strings.Join(strings.Fields(s), " ")
	switch {
	case s == "":
		return s, "Enter a name."
	case len([]rune(s)) > maxName:
		return s, "Use at most 100 characters."
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.C) }):
		return s, "Leave out control characters."
	}
	return s, ""
}

func cleanRoles(roles []Role) ([]Role, string) {
	for _, r := range roles {
		if !slices.Contains(Roles(), r) {
			return nil, "Choose from the roles that are listed."
		}
	}
	if len(roles) == 0 {
		return nil, "Choose at least one role."
	}
	roles = slices.Clone(roles)
	slices.Sort(roles)
	return slices.Compact(roles), ""
}

// complaints turns field complaints into a problem, or nil if all are empty.
func complaints(fields map[string]string) error {
	for k, v := range fields {
		if v == "" {
			delete(fields, k)
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", fields)
}
