package app

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// changeBuilder turns a request into its page, for one reader.
type changeBuilder struct {
	request   change.Request
	project   mirror.Project // zero for a change of the rules
	reader    access.Reader
	here      access.User // the reader where the request is
	people    []access.User
	awaited   []access.User // those of them who can bring the request further
	rules     change.Rules
	names     names
	revisions []change.Revision
	comments  []change.Comment
	watching  bool
	timeline  []templates.EntryView
	configs   map[string]mirror.AuthConfig   // as mirrored, by id
	prints    map[string][]store.Fingerprint // of credentials that were set through here
	busy      map[string]string              // other open requests, by config
	live      map[int]string                 // what Composio shows of items that wait for a decision
	state     changeState
	typed     url.Values
	now       time.Time
	form      func(action string) templates.FormView
}

func (b changeBuilder) card() templates.ChangeCardView {
	r := b.request
	v := templates.ChangeCardView{
		ID: r.ID, URL: templates.Local(changePath(r.ID)), Title: r.Title, State: stateBadge(r.State), Overlays: b.overlays(), Reason: r.Reason, Notes: b.notes(), Facts: b.facts(),
		Sentence: templates.SentenceView{Who: r.Author.Name, Did: b.wants(), Object: templates.LinkView{Text: b.object()}, More: "in " + where(r.Project, b.names)},
		Say:      "This change request is " + r.State.Words(), Timeline: b.timeline,
	}
	if r.State == change.Applying || r.State == change.Unknown && !r.Undecided() {
		v.Poll = templates.Local(changePath(r.ID))
	}
	for i := range r.Revision.Items {
		one := b.item(i)
		one.Label = one.Title
		if n := len(r.Revision.Items); n > 1 { // each is a place of its own
			one.Label += ", " + strconv.Itoa(i+1) + " of " + strconv.Itoa(n)
		}
		v.Items = append(v.Items, one)
	}
	b.decisions(&v)
	b.actions(&v)
	b.approvals(&v)
	v.Complaints = b.complaints()
	v.Checks, v.Talk, v.Since = b.checks(), b.talk(), b.since()
	return v
}

// where names the project that a request is about.
func where(projectID string, n names) string {
	if projectID == "" {
		return "the rules"
	}
	return n.of(projectID)
}

func progressWords(t change.Tally) string {
	return strconv.Itoa(min(t.Have, t.Need)) + " of " + strconv.Itoa(t.Need)
}

func zoned(r change.Request) string {
	at, err := time.LoadLocation(r.Zone)
	if err != nil || r.Zone == "" || r.Zone == "UTC" {
		return ""
	}
	return " (" + r.ApplyAfter.In(at).Format("15:04") + " in " + r.Zone + ")"
}

func (b changeBuilder) wants() string {
	r := b.request
	it := r.Revision.Items[0]
	verb := map[change.Operation]string{change.Create: "create", change.Update: "edit", change.Enable: "enable", change.Disable: "disable", change.Delete: "delete"}[it.Operation]
	if it.Operation == change.Update && r.Project != "" && change.ScopesWidened.Holds(it) {
		verb = "widen the scopes of"
	}
	if r.Project == "" {
		verb = strings.ToLower(r.Title[:1]) + r.Title[1:]
	}
	if r.State.Terminal() {
		return "wanted to " + verb
	}
	return "wants to " + verb
}

func (b changeBuilder) object() string {
	items := b.request.Revision.Items
	switch {
	case b.request.Project == "":
		return ""
	case len(items) == 1:
		return items[0].Name
	}
	return plural(len(items), "auth config", "auth configs")
}

// stale reports whether what the request relies on changed at Composio.
func (b changeBuilder) stale() bool {
	for i, it := range b.request.Revision.Items {
		live, known := b.configs[it.Target]
		if it.Kind != change.KindConfig || it.Operation == change.Create || b.request.Progress[i].Done() {
			continue
		}
		if !known || len(it.Moved(live)) > 0 {
			return true
		}
	}
	return false
}

func (b changeBuilder) waits() bool { return b.request.State.Waiting() }

// overlays are what is shown on top of a state.
func (b changeBuilder) overlays() []templates.BadgeView {
	r := b.request
	var out []templates.BadgeView
	if b.waits() && b.stale() {
		text := "Stale"
		if len(b.conflicts()) > 0 {
			text = "Conflict"
		}
		out = append(out, templates.BadgeView{Text: text, Tone: "warn"})
	}
	if b.unsatisfiable() {
		out = append(out, templates.BadgeView{Text: "Policy can't be satisfied", Tone: "bad"})
	}
	if r.Bypass != nil {
		one := templates.BadgeView{Text: "Break-glass", Tone: "warn"}
		if r.Bypass.Review == nil {
			one.Text = "Review due"
		}
		out = append(out, one)
	}
	return out
}

func (b changeBuilder) unsatisfiable() bool {
	r := b.request
	return (r.State == change.InReview || r.State == change.ChangesRequested) && len(b.awaited) == 0 && !r.Tally(b.people).Met
}

func (b changeBuilder) notes() []templates.NoticeView {
	r := b.request
	var out []templates.NoticeView
	if n := b.note(); n.Text != "" || n.Title != "" {
		out = append(out, n)
	}
	if it := r.Revision.Items[0]; it.Kind == change.KindClient && !r.State.Terminal() {
		out = append(out, templates.NoticeView{Tone: "warn", Title: "What is agreed to", Text: agreedTo(it, b.names)})
	} else if it.Kind == change.KindClient && r.State == change.Applied {
		out = append(out, templates.NoticeView{Tone: "info", Text: r.Author.Name + " has its token shown, once, under People, Directories. Until then it is good for nothing."})
	}
	if p := r.Bypass; p != nil {
		n := templates.NoticeView{Tone: "warn", Title: p.By.Name + " applied this without approval, for " + p.Incident + ".", Text: p.Reason}
		switch {
		case p.Review == nil:
			n.Text += " Somebody who had no part in it has to review it."
		case p.Review.Fine:
			n.Tone, n.Text = "info", n.Text+" "+p.Review.By.Name+" ratified it. "+p.Review.Comment
		default:
			n.Text += " " + p.Review.By.Name + " objected: " + p.Review.Comment
		}
		out = append(out, n)
	}
	if b.waits() && r.Note == "" && b.stale() {
		out = append(out, templates.NoticeView{Tone: "warn", Title: "This is stale.", Text: "What it relies on changed at Composio since it was written. It can't be applied before it is brought up to date."})
	}
	if b.unsatisfiable() {
		out = append(out, templates.NoticeView{Tone: "bad", Title: "Nobody can approve this any more.", Text: "Too few people who may approve and had no part in it are left. An admin can give somebody the approver role, or change the policy."})
	}
	return out
}

// complaints sums up what is wrong with a form of the page.
func (b changeBuilder) complaints() templates.ComplaintsView {
	p := problem.Of(b.state.complaint)
	if p == nil {
		return templates.ComplaintsView{}
	}
	v := templates.ComplaintsView{Message: p.Message}
	where := templates.URL("#main")
	switch b.state.action {
	case "comment":
		where = "#discussion"
	case "schedule":
		where = "#input-at"
	}
	for _, name := range sortedKeys(p.Fields) {
		v.Fields = append(v.Fields, templates.LinkView{Text: p.Fields[name], URL: where})
	}
	return v
}

func (b changeBuilder) facts() []templates.FactView {
	r := b.request
	facts := []templates.FactView{{Name: "Proposed", Time: ago(r.CreatedAt, b.now)}}
	for _, p := range r.Policies {
		if p.Approvals() == 0 && r.Approvals.Need > 0 {
			continue
		}
		facts = append(facts, templates.FactView{Name: "Policy", Text: policySentence(p, b.names) + "."})
	}
	if n := len(b.revisions); n > 1 {
		facts = append(facts, templates.FactView{Name: "Revision", Text: strconv.Itoa(r.Revision.Number) + ", by " + r.Revision.By.Name})
	}
	if !r.EndedAt.IsZero() {
		facts = append(facts, templates.FactView{Name: "Ended", Time: ago(r.EndedAt, b.now)})
	} else if !r.ExpiresAt.IsZero() {
		facts = append(facts, templates.FactView{Name: "Expires", Time: exact(r.ExpiresAt)})
	}
	return append(facts, templates.FactView{Name: "Request", Code: r.ID}, templates.FactView{Name: "Effect", Code: r.Revision.EffectHash})
}

var operationTitles = map[change.Operation]string{
	change.Create: "Create", change.Update: "Edit", change.Enable: "Enable", change.Disable: "Disable", change.Delete: "Delete",
}

func (b changeBuilder) item(i int) templates.ItemView {
	it, p := b.request.Revision.Items[i], b.request.Progress[i]
	v := templates.ItemView{Title: operationTitles[it.Operation] + " " + it.Name, State: itemBadge(p), Note: p.Note, Number: strconv.Itoa(i)}
	if it.Kind != change.KindConfig {
		v.Title, v.Diff = ruleTitle(it, b.names), ruleDiff(it, b.names)
		return v
	}
	if v.State.Text == "Waiting" && b.request.State.Terminal() {
		v.State.Text = "Not sent"
	}
	v.Diff = b.diff(it)
	if p.Target != "" && (it.Operation != change.Delete || p.State != change.ItemApplied) {
		v.Config.URL = templates.Local(configPath(b.project.Slug, p.Target))
	}
	v.Impact = b.impact(it)
	for _, c := range it.Credentials {
		v.Secret = append(v.Secret, b.secret(i, c))
	}
	if p.Decide && b.here.May(access.SettleChange) {
		v.Decide = b.form(changePath(b.request.ID) + "/settle")
		v.Wanted, v.Found = b.wanted(it), b.live[i]
		if v.Found == "" {
			v.Found = "Gatehouse does not know where to look."
		}
	}
	return v
}

// diff compares what an item wants with what is there now, as long as it waits,
// and says where that isn't what it was written against.
func (b changeBuilder) diff(it change.Item) templates.DiffView {
	live, known := b.configs[it.Target]
	if !known || !b.waits() || it.Operation != change.Update {
		return itemDiff(it)
	}
	then := it.Base
	now := live.Values()
	it.Base = mirror.Values{}
	for name := range it.Set {
		it.Base[name] = then[name]
		if value, readable := now[name]; readable {
			it.Base[name] = value
		}
	}
	d := itemDiff(it)
	for i, name := range sortedKeys(it.Set) {
		if !mirror.SameValue(name, then[name], it.Base[name]) {
			d.Rows[i].Note = "When it was written: " + valueWords(then[name]) + "."
		}
	}
	return d
}

// impact says who is touched: as counted when it was written, and today.
func (b changeBuilder) impact(it change.Item) string {
	var parts []string
	live, known := b.configs[it.Target]
	if it.Impact.Counted {
		text := "When it was proposed, " + plural(it.Impact.Connections, "connection", "connections") + " went through it"
		if active, ok := it.Impact.ByStatus["ACTIVE"]; ok {
			text += ", " + number(active) + " of them active"
		}
		parts = append(parts, text+".")
	}
	if known && b.waits() {
		parts = append(parts, "Today it is "+plural(live.Connections, "active connection", "active connections")+".")
	}
	if it.Operation == change.Update && change.ScopesWidened.Holds(it) {
		parts = append(parts, "Wider scopes don't reach existing connections: their users have to reconnect.")
	}
	if it.Revoke {
		parts = append(parts, "The credentials of its connections are revoked at the provider too.")
	}
	return strings.Join(parts, " ")
}

// secret tells about a credential what can be told without showing it.
func (b changeBuilder) secret(item int, c change.Credential) templates.SecretView {
	it := b.request.Revision.Items[item]
	v := templates.SecretView{Name: fieldLabel(c.Field), Field: c.Field}
	v.Text = c.LengthClass + ", fingerprint " + c.Fingerprint
	if c.By.Name != "" {
		v.Text += ", typed by " + c.By.Name + " on " + exact(c.At).Text
	}
	known := slices.IndexFunc(b.prints[it.Target], func(f store.Fingerprint) bool { return f.Field == c.Field })
	switch {
	case it.Operation == change.Create:
		v.Text += "."
	case known < 0:
		v.Text += ". No value was set through Gatehouse before, and what is there can't be read."
	case !b.waits():
		v.Text += "."
	case b.prints[it.Target][known].Fingerprint == c.Fingerprint:
		v.Text += ". It equals the value that was last set through Gatehouse."
	default:
		v.Text += ". It differs from the value that was last set through Gatehouse."
	}
	key := strconv.Itoa(item) + " " + c.Field
	v.Outcome = b.state.matched[key]
	if b.waits() && b.here.May(access.ApproveChange) && !slices.Contains(b.request.Revision.Contributors, b.reader.ID) {
		v.Form = b.form(changePath(b.request.ID) + "/match")
		v.Input = secretInput("secret.value", "Value to compare", "", "")
		if b.state.action == "match "+key {
			v.Input.Complaint = fieldComplaints(b.state.complaint)["value"]
		}
	}
	return v
}
