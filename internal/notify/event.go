package notify

import (
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
)

// A Why is the reason for which somebody hears of an event. People choose by it
// how they hear.
type Why string

// The reasons, the most pressing first.
const (
	NeedsMe    Why = "needs_me"    // they can approve it
	BreakGlass Why = "break_glass" // approvals were skipped
	Mine       Why = "mine"        // it is their own request
	Watching   Why = "watching"    // they take part in it, or asked to be told
	Asked      Why = "asked"       // a review asks them about an entry of history
	Outside    Why = "outside"     // an auth config was changed at Composio directly
	Security   Why = "security"    // it is about their own account, or about an emergency; nobody can choose not to hear of it
)

// Whys lists the reasons to choose by, in the order of pages.
func Whys() []Why { return []Why{NeedsMe, Mine, Watching, BreakGlass, Outside, Asked} }

// A Topic is what channels choose by: they have no reasons of their own.
type Topic string

// The topics.
const (
	Approval Topic = "approval"    // a request waits for approval
	Decision Topic = "decision"    // votes and what came of them
	Outcome  Topic = "outcome"     // applied, failed, cancelled, expired
	Trouble  Topic = "trouble"     // stale, scheduled, suspended
	Bypass   Topic = "break_glass" // break-glass and its ratification
	Comment  Topic = "comment"
	Drift    Topic = "drift" // an auth config was changed at Composio directly
)

// Topics lists all topics.
func Topics() []Topic {
	return []Topic{Approval, Decision, Outcome, Trouble, Bypass, Comment, Drift}
}

// Actions of history that people hear of.
const (
	submitted        = "change.submitted"
	revised          = "change.revised"
	voted            = "change.voted"
	approved         = "change.approved"
	changesRequested = "change.changes_requested"
	rejected         = "change.rejected"
	bypassed         = "change.bypassed"
	flagged          = "review.flagged"
	askedAgain       = "review.reopened"
)

// An act is how an action is told.
type act struct {
	topic   Topic // empty: no channel hears of it
	outcome bool  // its requester hears of it in any case
	words   string
}

// acts are the actions that people hear of. In the words, %s is who did it;
// the title follows. Votes have words of their own.
var acts = map[string]act{
	submitted:           {Approval, false, "%s asks for your approval"},
	revised:             {Approval, false, "%s revised a change and asks for your approval"},
	voted:               {Decision, false, "%s voted"},
	approved:            {Decision, false, "Approved by %s"},
	changesRequested:    {Decision, false, "%s asks for changes"},
	rejected:            {Decision, true, "Rejected by %s"},
	"change.cancelled":  {Outcome, false, "Cancelled by %s"},
	"change.expired":    {Outcome, true, "Expired"},
	"change.scheduled":  {Trouble, false, "Scheduled by %s"},
	"change.suspended":  {Trouble, false, "Suspended and waiting for a person"},
	"change.stale":      {Trouble, false, "Stale, because the auth config has changed"},
	"change.applied":    {Outcome, true, "Applied"},
	"change.failed":     {Outcome, true, "Failed"},
	"change.partial":    {Outcome, true, "Only partly applied"},
	"change.superseded": {Outcome, true, "Closed, since nothing was left to change"},
	bypassed:            {Bypass, false, "%s skipped approval by break-glass"},
	"change.ratified":   {Bypass, false, "%s ratified a break-glass change"},
	"change.commented":  {Comment, false, "%s commented"},

	"auth_config.changed_outside": {Drift, false, "Changed at Composio directly"},
	"auth_config.created_outside": {Drift, false, "Made at Composio directly"},
	"auth_config.deleted_outside": {Drift, false, "Deleted at Composio directly"},
	"auth_config.touched_outside": {Drift, false, "Touched at Composio directly, and a credential may have been replaced"},

	access.NewDeviceAction:    {"", false, "Your account was signed in to from a new device"},
	access.TokenExpiresAction: {"", false, "Your API token expires soon"},
	access.EmergencyAction:    {"", false, "An emergency account was signed in to"},

	access.FactorAddedAction:   {"", false, "A second factor was added to your account"},
	access.FactorRemovedAction: {"", false, "A second factor was removed from your account"},
	access.FactorsResetAction:  {"", false, "All your second factors were taken away"},
	access.CodeUsedAction:      {"", false, "A recovery code of your account was used"},
	access.ClonedAction:        {"", false, "There seems to be a copy of one of your passkeys"},

	flagged:    {"", false, "%s asks you about an entry of history"},
	askedAgain: {"", false, "%s asks you again about an entry of history"},
}

// voteWords say how somebody voted.
var voteWords = map[string]string{
	"approve": "%s approved", "reject": "%s rejected", "request_changes": "%s asks for changes", "withdraw": "%s withdrew an approval",
}

// Concerns reports whether people hear of an event. The store writes such events
// into the outbox with their history entry.
func Concerns(e audit.Event) bool {
	a, ok := acts[e.Action]
	return ok && (e.Request != "" || a.topic == Drift || a.topic == "")
}

// decisions are what a vote, or a submission that needs none, leads to at once.
var decisions = []string{approved, changesRequested, rejected}

// together reports whether two entries are one event to people: a vote and what
// came of it, or a revision and that it was submitted.
func together(first, then audit.Entry) bool {
	if first.Seq != then.Seq-1 || first.Request != then.Request {
		return false
	}
	if first.Action == revised {
		return then.Action == submitted
	}
	return (first.Action == voted || first.Action == submitted) && slices.Contains(decisions, then.Action)
}
