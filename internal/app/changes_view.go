package app

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	ql "gatehouse/internal/query"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

func changesView(frame templates.PageView, tab string, found []change.Line, inbox store.Inbox, n names, later bool, now time.Time) templates.ChangesView {
	v := templates.ChangesView{Page: frame, Search: templates.AskedView{
		Action: changesPath, Placeholder: "Words, or terms such as author:emil is:open after:7d",
		Help: helpView(ql.Requests, func(q ql.Query) templates.URL { return templates.Local(query(changesPath, "q", q.String())) }),
	}}
	for _, t := range []struct {
		key, text string
		count     int
	}{{"needs", "Needs me", len(inbox.Needs)}, {"mine", "Mine", inbox.Mine}, {"watching", "Watching", inbox.Watching}, {"open", "All open", inbox.Open}, {"done", "Done", 0}} {
		one := templates.TabView{Text: t.text, URL: templates.Local("/changes?tab=" + t.key), Current: t.key == tab}
		if t.count > 0 {
			one.Count = number(t.count)
		}
		v.Tabs = append(v.Tabs, one)
	}
	if later {
		v.Pager.Previous = templates.Local("/changes?tab=" + tab)
	}
	if len(found) > changesPerPage {
		found = found[:changesPerPage]
		v.Pager.Next = templates.Local(query("/changes", "tab", tab, "before", strconv.FormatInt(found[len(found)-1].CreatedAt.UnixMicro(), 10)))
	}
	v.Pager.Text = plural(len(found), "change request", "change requests") + " on this page"
	v.Rows = requestRows(found, n, now)
	v.Empty = emptyTab(tab)
	return v
}

func emptyTab(tab string) templates.EmptyView {
	switch tab {
	case "needs":
		return templates.EmptyView{Title: "Nothing waits for you", Text: "Requests that you can approve, that you have to finish, or whose outcome only a person can tell show up here."}
	case "watching":
		return templates.EmptyView{Title: "You watch nothing", Text: "Requests that you voted on, commented or chose to watch show up here."}
	case "open":
		return templates.EmptyView{Title: "Nothing is open", Text: "Changes that wait, fail or need a decision show up here. What is done stands under Done."}
	}
	return templates.EmptyView{Title: "Nothing here yet", Text: "Every create, edit, switch and delete becomes a change request."}
}

// counted are lines with the approvals of those that are approved counted anew: some
// may be missing again.
func (s *Server) counted(c echo.Context, found []change.Line) ([]change.Line, error) {
	people, err := s.store.Users(c.Request().Context())
	if err != nil {
		return nil, err
	}
	found = slices.Clone(found)
	for i, l := range found {
		if l.State != change.Approved {
			continue
		}
		r, err := s.store.Request(c.Request().Context(), l.ID)
		if err != nil {
			return nil, err
		}
		if r.Bypass == nil {
			found[i].Approvals = r.Tally(people)
		}
	}
	return found, nil
}

func requestRows(found []change.Line, n names, now time.Time) []templates.RequestRowView {
	rows := make([]templates.RequestRowView, len(found))
	for i, r := range found {
		rows[i] = templates.RequestRowView{
			ID: r.ID, Title: r.Title, URL: templates.Local(changePath(r.ID)), State: stateBadge(r.State), Author: r.Author.Name,
			Avatar: face(r.Author.Name, r.Author.ID), Project: where(r.Project, n), Age: ago(r.CreatedAt, now),
		}
		if r.State == change.InReview || r.State == change.ChangesRequested {
			rows[i].Tally = progressWords(r.Approvals)
		}
		if r.State == change.Approved && r.Approvals.Have < r.Approvals.Need {
			rows[i].State, rows[i].Tally = templates.BadgeView{Text: "Approvals missing", Tone: "warn"}, progressWords(r.Approvals)
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
	case change.Partial, change.Unknown, change.Suspended, change.ChangesRequested:
		b.Tone = "warn"
	case change.Applying, change.InReview, change.Approved, change.Scheduled:
		b.Tone = "info"
	}
	return b
}

// lapsed reports whether an approved request lacks approvals again.
func (b changeBuilder) lapsed() bool {
	r := b.request
	return r.State == change.Approved && r.ApplyAfter.IsZero() && !r.Tally(b.people).Met
}

// note says in the reader's words how the request stands and whether anything
// changed at Composio.
func (b changeBuilder) note() templates.NoticeView {
	r := b.request
	n := templates.NoticeView{Text: r.Note}
	switch r.State {
	case change.Applied:
		if r.Project == "" {
			return templates.NoticeView{Tone: "good", Text: "It counts from now on."}
		}
		return templates.NoticeView{Tone: "good", Text: "Composio carried it out, and a second look confirmed it."}
	case change.Failed:
		n.Tone, n.Title = "bad", "Nothing was changed at Composio."
		if r.Project == "" {
			n.Title = "Nothing was changed."
		}
	case change.Partial:
		n.Tone, n.Title = "warn", "A part was changed at Composio, the rest was not."
	case change.Unknown:
		n.Tone, n.Title = "warn", "It isn't known yet whether Composio carried this out."
		n.Text = strings.TrimSpace(r.Note + " Gatehouse keeps looking, and sends nothing again before it is sure. You can leave this page.")
	case change.Applying:
		n.Tone, n.Text = "info", "It is being sent to Composio. You can leave this page."
	case change.Draft:
		n.Tone, n.Text = "info", "This is a draft that only you can see. It goes a day after it was last touched, and its credentials with it."
	case change.InReview:
		n.Tone = "warn"
		if r.Note == "" {
			n.Tone, n.Text = "info", "It waits for approval. Nothing has been sent yet."
		}
	case change.ChangesRequested:
		n.Tone, n.Text = "warn", "A reviewer asked for changes. It goes on when they vote again, or when a new revision is approved."
	case change.Approved:
		if b.lapsed() {
			return templates.NoticeView{Tone: "warn", Title: "Approvals are missing again.", Text: "Somebody who approved it may not approve it any more, so it can't be applied. Nothing was sent. A new revision asks for approvals anew; otherwise cancel it and propose it again."}
		}
		n.Tone, n.Text = "info", "It is approved. Nothing has been sent yet."
	case change.Scheduled:
		n.Tone, n.Text = "info", "It is approved and will be applied at "+exact(r.ApplyAfter).Text+zoned(r)+"."
	case change.Suspended:
		n.Tone = "warn"
		n.Text = r.Note
		if !strings.Contains(n.Text, "Nothing was sent") {
			n.Text += " Nothing was sent."
		}
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
