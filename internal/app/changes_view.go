package app

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

func changesView(frame templates.PageView, tab string, found []change.Request, names map[string]string, later bool, now time.Time) templates.ChangesView {
	v := templates.ChangesView{Page: frame}
	for _, t := range []struct{ key, text string }{{"open", "Open"}, {"mine", "Mine"}, {"done", "Done"}} {
		v.Tabs = append(v.Tabs, templates.TabView{Text: t.text, URL: templates.Local("/changes?tab=" + t.key), Current: t.key == tab})
	}
	if later {
		v.Pager.Previous = templates.Local("/changes?tab=" + tab)
	}
	if len(found) > changesPerPage {
		found = found[:changesPerPage]
		v.Pager.Next = templates.Local(query("/changes", "tab", tab, "before", strconv.FormatInt(found[len(found)-1].CreatedAt.UnixMicro(), 10)))
	}
	v.Pager.Text = plural(len(found), "change request", "change requests") + " on this page"
	v.Rows = requestRows(found, names, now)
	v.Empty = templates.EmptyView{Title: "Nothing is open", Text: "Changes that wait, fail or need a decision show up here. What is done stands under Done."}
	if tab != "open" {
		v.Empty = templates.EmptyView{Title: "Nothing here yet", Text: "Every create, edit, switch and delete becomes a change request."}
	}
	return v
}

func requestRows(found []change.Request, names map[string]string, now time.Time) []templates.RequestRowView {
	rows := make([]templates.RequestRowView, len(found))
	for i, r := range found {
		rows[i] = templates.RequestRowView{
			ID: r.ID, Title: r.Title, URL: templates.Local(changePath(r.ID)), State: stateBadge(r.State), Author: r.Author.Name,
			Avatar: face(r.Author.Name, r.Author.ID+"user"), Project: names[r.Project], Age: ago(r.CreatedAt, now),
		}
	}
	return rows
}

func stateBadge(s change.State) templates.BadgeView {
	b := templates.BadgeView{Text: capital(s.Words())}
	switch s {
	case change.Applied:
		b.Tone = "good"
	case change.Failed, change.Rejected:
		b.Tone = "bad"
	case change.Partial, change.Unknown, change.Suspended:
		b.Tone = "warn"
	case change.Applying, change.InReview, change.Approved:
		b.Tone = "info"
	}
	return b
}

// changeBuilder turns a request into its page, for one reader.
type changeBuilder struct {
	request change.Request
	project mirror.Project
	reader  access.Reader
	live    map[int]string // what Composio shows of items that wait for a decision
	now     time.Time
	form    func(action string) templates.FormView
}

func (b changeBuilder) card() templates.ChangeCardView {
	r := b.request
	v := templates.ChangeCardView{
		ID: r.ID, Title: r.Title, State: stateBadge(r.State), Reason: r.Reason, Note: b.note(), Facts: b.facts(),
		Sentence: templates.SentenceView{Who: r.Author.Name, Did: wants(r), Object: templates.LinkView{Text: b.object()}, More: "in " + b.project.Name},
		Say:      "This change request is " + r.State.Words(),
	}
	decide := slices.ContainsFunc(r.Progress, func(p change.Progress) bool { return p.Decide })
	if r.State == change.Applying || r.State == change.Unknown && !decide {
		v.Poll = templates.Local(changePath(r.ID))
	}
	for i := range r.Revision.Items {
		v.Items = append(v.Items, b.item(i))
	}
	b.actions(&v)
	return v
}

func wants(r change.Request) string {
	verb := map[change.Operation]string{change.Create: "create", change.Update: "edit", change.Enable: "enable", change.Disable: "disable", change.Delete: "delete"}[r.Revision.Items[0].Operation]
	if r.State.Terminal() {
		return "wanted to " + verb
	}
	return "wants to " + verb
}

func (b changeBuilder) object() string {
	items := b.request.Revision.Items
	if len(items) == 1 {
		return items[0].Name
	}
	return plural(len(items), "auth config", "auth configs")
}

// note says in the reader's words how the request stands and whether anything
// changed at Composio.
func (b changeBuilder) note() templates.NoticeView {
	r := b.request
	n := templates.NoticeView{Text: r.Note}
	switch r.State {
	case change.Applied:
		return templates.NoticeView{Tone: "good", Text: "Composio carried it out, and a second look confirmed it."}
	case change.Failed:
		n.Tone, n.Title = "bad", "Nothing was changed at Composio."
	case change.Partial:
		n.Tone, n.Title = "warn", "A part was changed at Composio, the rest was not."
	case change.Unknown:
		n.Tone, n.Title = "warn", "It isn't known yet whether Composio carried this out."
		n.Text = strings.TrimSpace(r.Note + " Gatehouse keeps looking, and sends nothing again before it is sure. You can leave this page.")
	case change.Applying:
		n.Tone, n.Text = "info", "It is being sent to Composio. You can leave this page."
	case change.InReview:
		n.Tone = "warn"
		if r.Note == "" {
			n.Tone, n.Text = "info", "It waits for approval."
		}
	case change.Approved:
		n.Tone, n.Text = "info", "It is approved. Nothing has been sent yet."
	case change.Suspended:
		n.Tone = "warn"
		n.Text = strings.TrimSpace(r.Note + " Nothing was sent.")
	case change.Superseded, change.Expired, change.Cancelled, change.Rejected:
		n.Tone = "info"
		if n.Text == "" {
			n.Text = "Nothing more is sent."
		}
	default:
		n.Tone = "info"
	}
	return n
}

func (b changeBuilder) facts() []templates.FactView {
	r := b.request
	facts := []templates.FactView{
		{Name: "Proposed", Time: ago(r.CreatedAt, b.now)},
		{Name: "Policy", Text: plural(len(r.Policies), "policy", "policies")},
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
	v := templates.ItemView{
		Title: operationTitles[it.Operation] + " " + it.Name, State: itemBadge(p), Note: p.Note, Diff: itemDiff(it), Number: strconv.Itoa(i),
	}
	if p.Target != "" && (it.Operation != change.Delete || p.State != change.ItemApplied) {
		v.Config.URL = templates.Local(configPath(b.project.Slug, p.Target))
	}
	if it.Impact.Counted {
		v.Impact = "When it was proposed, " + plural(it.Impact.Connections, "connection", "connections") + " went through it."
	}
	if it.Revoke {
		v.Impact = strings.TrimSpace(v.Impact + " The credentials of its connections are revoked at the provider too.")
	}
	if p.Decide && b.reader.May(access.SettleChange) {
		v.Decide = b.form(changePath(b.request.ID) + "/settle")
		v.Wanted, v.Found = b.wanted(it), b.live[i]
		if v.Found == "" {
			v.Found = "Gatehouse does not know where to look."
		}
	}
	return v
}

func (b changeBuilder) wanted(it change.Item) string {
	if it.Operation == change.Delete {
		return "It doesn't exist."
	}
	words := wordsOf(it.Set)
	for _, c := range it.Credentials {
		words = strings.TrimSpace(words + " " + fieldLabel(c.Field) + ": a new value, which can't be seen.")
	}
	return words
}

// wordsOf lists values in a line.
func wordsOf(v mirror.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		value := strings.Join(v[name], ", ")
		if value == "" {
			value = "empty"
		}
		parts = append(parts, fieldLabel(name)+": "+value+".")
	}
	return strings.Join(parts, " ")
}

func touched(it change.Item) []string { return slices.Collect(maps.Keys(it.Set)) }

func itemBadge(p change.Progress) templates.BadgeView {
	switch p.State {
	case change.ItemApplied:
		return templates.BadgeView{Text: "Done", Tone: "good"}
	case change.ItemFailed:
		return templates.BadgeView{Text: "Not done", Tone: "bad"}
	case change.ItemUnknown:
		return templates.BadgeView{Text: "Unknown", Tone: "warn"}
	case change.ItemApplying:
		return templates.BadgeView{Text: "Being sent", Tone: "info"}
	case change.ItemSuperseded:
		return templates.BadgeView{Text: "Was so already"}
	}
	return templates.BadgeView{Text: "Waiting"}
}

// itemDiff shows old and new side by side; credentials as fingerprints.
func itemDiff(it change.Item) templates.DiffView {
	d := templates.DiffView{Before: "Now", After: "Then"}
	if it.Operation == change.Create {
		d.Rows = append(d.Rows,
			templates.DiffRowView{Field: "Toolkit", After: it.Toolkit},
			templates.DiffRowView{Field: "Credentials", After: ownerLong(it.Managed) + ", " + it.Scheme})
	}
	if it.Operation == change.Delete {
		d.Rows = append(d.Rows, templates.DiffRowView{Field: "Auth config", Before: it.Name, After: "deleted for good"})
		return d
	}
	for _, name := range slices.Sorted(maps.Keys(it.Set)) {
		before := it.Base[name]
		after := it.Set[name]
		if name == mirror.FieldStatus {
			before, after = statusWords(before), statusWords(after)
		}
		d.Rows = append(d.Rows, diffRow(name, before, after))
	}
	for _, c := range it.Credentials {
		row := templates.DiffRowView{Field: fieldLabel(c.Field), Before: "not readable", After: "new value, fingerprint " + c.Fingerprint, Note: c.LengthClass}
		if it.Operation == change.Create {
			row.Before = ""
		}
		d.Rows = append(d.Rows, row)
	}
	return d
}

func statusWords(v []string) []string {
	out := make([]string, len(v))
	for i := range v {
		out[i] = statusBadge(v[i]).Text
	}
	return out
}

// actions offers what this reader may do next.
func (b changeBuilder) actions(v *templates.ChangeCardView) {
	r, path := b.request, changePath(b.request.ID)
	mine := b.reader.ID == r.Author.ID
	propose := b.reader.May(access.ProposeChange)
	if mine && propose && r.State == change.InReview && r.Note != "" {
		v.Rebase = templates.ActionView{Form: b.form(path + "/rebase"), Text: "Apply to what is there now", Hint: "Renews the request: your values stay, and what changed meanwhile is accepted as it is."}
	}
	switch {
	case propose && (r.State == change.Failed || r.State == change.Partial):
		v.Apply = templates.ActionView{Form: b.form(path + "/apply"), Text: "Try again", Hint: "Sends what is not done yet."}
	case propose && r.State == change.Approved && r.ApplyAfter.IsZero():
		v.Apply = templates.ActionView{Form: b.form(path + "/apply"), Text: "Apply", Hint: "Sends it to Composio now."}
	}
	if (mine || b.reader.May(access.CancelChange)) && (r.State.Waiting() || r.State == change.Failed || r.State == change.Partial) {
		v.Cancel = templates.ActionView{Form: b.form(path + "/cancel"), Text: "Cancel request", Hint: "Nothing more is sent, and credentials that wait are destroyed."}
		if r.State == change.Failed || r.State == change.Partial {
			v.Cancel.Text = "Close request"
		}
		if !mine {
			v.Why = templates.InputView{Name: "reason", Label: "Reason", Required: true}
		}
	}
}
