package notify

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
)

// A Message is what is told of an event. All text in it is cleaned: it is one
// line each, without characters that hide or turn text. It holds no values of
// fields, and its link opens a page and does nothing else.
type Message struct {
	Seq         int64 // of the entry of history
	Action      string
	At          time.Time
	Request     string // id; empty if it is about none
	Title       string
	State       string
	Project     string // empty for a change of the rules, and for reviews
	Environment string
	Who         string
	Sentence    string // what happened, without the title
	Text        string // all of it in one line
	Path        string // of the page that it leads to
	Link        string // the same, as an address
	Advice      string // what to do about it, if there is anything to say
	subject     string // what the page is about
	lost        bool   // its reader may not see any more what it is about
}

// message makes the message of an entry, as who hears it for that reason reads it.
func (s *Service) message(ctx context.Context, e audit.Entry, why Why) (Message, error) {
	m := Message{
		Seq: e.Seq, Action: e.Action, At: e.Time, Request: e.Request, Title: e.Object.Name, State: clean(e.Detail["state"]), Who: who(e.Actor),
	}
	if e.Request != "" && (e.Object.Kind != "change_request" || m.Title == "") {
		r, err := s.store.Request(ctx, e.Request)
		if err != nil {
			return m, err
		}
		m.Title = r.Title
	}
	m.secure(e)
	m.Title = shorten(clean(m.Title))
	m.Sentence = sentence(e, why)
	m.Text = m.Sentence + ": " + m.Title
	var p mirror.Project
	if e.Project != "" {
		var err error
		if p, err = s.store.Project(ctx, e.Project); err != nil {
			return m, err
		}
		m.Project, m.Environment = shorten(clean(p.Name)), clean(p.Environment)
		m.Text += " (" + m.where() + ")"
	}
	m.subject, m.Path = page(e, p)
	m.Link = s.settings.PublicURL + m.Path
	return m, nil
}

// factorNames are the kinds of second factors.
var factorNames = map[string]string{access.FactorPasskey: "a passkey", access.FactorTOTP: "an authenticator app"}

// secure words what is about somebody's own account.
func (m *Message) secure(e audit.Entry) {
	switch e.Action {
	case access.NewDeviceAction:
		m.Title = access.ReadDevice(e.Actor.Agent).String()
		if e.Actor.IP != "" {
			m.Title += ", " + e.Actor.IP
		}
		m.Advice = "If it was not you, end that session, change your passphrase, and tell your admin."
	case access.FactorAddedAction, access.FactorRemovedAction:
		m.Title = factorNames[e.Detail["factor"]]
		m.Advice = "If it was not you, change your passphrase, look at your second factors, and tell your admin."
	case access.CodeUsedAction:
		m.Title = clean(e.Detail["left"]) + " left"
		m.Advice = "If it was not you, make new codes, change your passphrase, and tell your admin."
	case access.FactorsResetAction:
		m.Title = "by " + who(e.Actor)
		m.Advice = "You can sign in with your passphrase and set up new ones. If you did not ask for this, tell another admin."
	case access.ClonedAction:
		m.Title = "it is refused from now on"
		m.Advice = "Remove it from your account, and tell your admin."
	case access.EmergencyAction:
		m.Title = who(e.Actor)
		m.Advice = "Find out what the emergency is. If there is none, disable the account and end its sessions."
	case access.TokenExpiresAction:
		m.Advice = "It stops working at " + clean(e.Detail["expires"]) + ". Make another one in time if something still uses it."
	}
}

// messageTo is [Service.message] for a person. Of a change request that isn't theirs
// to read any more it says no more than that there is one, and of a project whose
// history isn't no more than where.
func (s *Service) messageTo(ctx context.Context, u access.User, e audit.Entry, why Why) (Message, error) {
	m, err := s.message(ctx, e, why)
	if err == nil && e.Request != "" {
		return s.unlessLost(ctx, u, m)
	}
	if err != nil || why != Outside {
		return m, err
	}
	p, err := s.store.Project(ctx, e.Project)
	if err != nil || p.ReadBy(u.At(p.At(e.Detail["toolkit"]))) {
		return m, err
	}
	m.Title, m.subject, m.Path = "an auth config", "drift", "/projects/"+p.Slug+"/drift"
	m.Text, m.Link = m.Sentence+": "+m.Title+" ("+m.where()+")", s.settings.PublicURL+m.Path
	return m, nil
}

// unlessLost takes from a message what a person may not see any more.
func (s *Service) unlessLost(ctx context.Context, u access.User, m Message) (Message, error) {
	r, err := s.store.Request(ctx, m.Request)
	if err != nil || r.ReadBy(u) {
		return m, ignoreMissing(err)
	}
	m.Title, m.subject, m.Path, m.lost = "a change request that you may not see any more", "list of changes", "/changes", true
	m.State, m.Project, m.Environment = "", "", ""
	m.Text, m.Link = m.Sentence+": "+m.Title, s.settings.PublicURL+m.Path
	return m, nil
}

// page is what the message of an entry leads to: what it is about, and its path.
func page(e audit.Entry, p mirror.Project) (subject, path string) {
	switch {
	case e.Request != "":
		return "change request", "/changes/" + e.Request
	case e.Object.Kind == "review":
		return "question", "/reviews"
	case e.Action == access.NewDeviceAction:
		return "list of your sessions", "/account/sessions"
	case e.Object.Kind == "user":
		return "list of your second factors", "/account/factors"
	case e.Action == access.EmergencyAction:
		return "page of the account", "/people/" + e.Actor.ID
	case e.Action == access.TokenExpiresAction:
		return "list of your tokens", "/account/tokens"
	}
	path = "/projects/" + p.Slug + "/auth-configs/" + e.Object.ID
	if e.Action == "auth_config.deleted_outside" {
		path += "/versions"
	}
	return "auth config", path
}

// where is what the message is about, beside its title.
func (m Message) where() string {
	switch {
	case m.lost:
		return "what isn't yours to see"
	case m.Project != "":
		return m.Project + ", " + m.Environment
	case m.Request != "":
		return "the rules"
	case m.Action == access.EmergencyAction:
		return "all of Gatehouse"
	case m.Advice != "":
		return "your account"
	}
	return "a review of history"
}

func who(a audit.Actor) string {
	switch {
	case a.Name != "" && a.TokenName != "":
		return shorten(clean(a.Name + " through the token " + a.TokenName))
	case a.Name != "":
		return shorten(clean(a.Name))
	case a.Kind == audit.ActorUser:
		return "An erased person"
	case a.Kind == audit.ActorOutside:
		return "Somebody at Composio directly"
	}
	return "Gatehouse"
}

// sentence says what happened, without the title.
func sentence(e audit.Entry, why Why) string {
	words := acts[e.Action].words
	if w, ok := voteWords[e.Detail["decision"]]; ok && e.Action == voted {
		words = w
	}
	if e.Actor.Kind != audit.ActorUser {
		words = strings.TrimSuffix(words, " by %s")
	}
	if why != NeedsMe && (e.Action == submitted || e.Action == revised) {
		words = strings.Replace(words, "your approval", "approval", 1)
	}
	if strings.Contains(words, "%s") {
		return fmt.Sprintf(words, who(e.Actor))
	}
	return words
}

// clean makes one line of a text that others wrote: control characters, line
// breaks, and characters that are invisible or turn the direction of text go.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

const longest = 200 // characters of a title

func shorten(s string) string {
	if r := []rune(s); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return s
}
