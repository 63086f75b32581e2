package app

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

// conflicts are the fields that both the request and somebody else changed.
func (b changeBuilder) conflicts() []templates.ConflictView {
	var out []templates.ConflictView
	for i, it := range b.request.Revision.Items {
		live, known := b.configs[it.Target]
		if !known || it.Operation != change.Update {
			continue
		}
		now := live.Values()
		for _, field := range it.Moved(live) {
			if _, ours := it.Set[field]; !ours || mirror.SameValue(field, it.Set[field], now[field]) {
				continue
			}
			out = append(out, templates.ConflictView{
				Name: "keep." + strconv.Itoa(i) + "/" + field, Field: fieldLabel(field) + " of " + it.Name,
				Was: valueWords(it.Base[field]), Theirs: valueWords(now[field]), Mine: valueWords(it.Set[field]),
			})
		}
	}
	return out
}

func valueWords(v []string) string {
	if len(v) == 0 {
		return "empty"
	}
	return strings.Join(v, ", ")
}

// rebase offers to bring the request up to date.
func (b changeBuilder) rebase() templates.RebaseView {
	r := b.request
	if !b.waits() || !b.stale() && r.Note == "" || r.Project == "" || !b.here.May(access.ProposeChange) || r.State == change.Suspended && !b.stale() {
		return templates.RebaseView{}
	}
	v := templates.RebaseView{
		Form: b.form(changePath(r.ID) + "/rebase"), Version: strconv.FormatInt(r.Version, 10), Fields: b.conflicts(), Button: "Bring up to date",
		Hint: "Makes a new revision that relies on what is there now. Fields that only somebody else changed stay as they are. All votes are dismissed.",
	}
	if r.Approvals.Need == 0 && r.State != change.Draft {
		v.Button = "Apply to what is there now"
	}
	for i, it := range r.Revision.Items {
		if _, known := b.configs[it.Target]; len(r.Revision.Items) > 1 || !known && it.Operation != change.Create {
			v.Drop = append(v.Drop, templates.CheckView{Name: "drop", Value: strconv.Itoa(i), Text: "Leave out " + it.Name, Checked: !known && it.Operation != change.Create})
		}
	}
	if len(r.Revision.Items) == 1 {
		v.Drop = nil
	}
	return v
}

// since shows what changed since this reader's last vote on an earlier revision.
func (b changeBuilder) since() templates.SinceView {
	r := b.request
	for _, one := range slices.Backward(r.Votes) {
		if one.Reviewer.ID != b.reader.ID {
			continue
		}
		if one.Revision == r.Revision.Number || r.State.Terminal() {
			return templates.SinceView{}
		}
		return templates.SinceView{Title: "Changed since your vote", Diff: b.between(one.EffectHash)}
	}
	return templates.SinceView{}
}

// between compares an earlier revision with the current one.
func (b changeBuilder) between(effect string) templates.DiffView {
	d := templates.DiffView{Before: "You saw", After: "Now"}
	i := slices.IndexFunc(b.revisions, func(v change.Revision) bool { return v.EffectHash == effect })
	if i < 0 {
		return itemsDiff(b.request.Revision.Items)
	}
	before, after := wantedBy(b.revisions[i].Items), wantedBy(b.request.Revision.Items)
	fields := mirror.Values{}
	for name := range before {
		fields[name] = nil
	}
	for name := range after {
		fields[name] = nil
	}
	for _, name := range sortedKeys(fields) {
		if !slices.Equal(before[name], after[name]) {
			row := diffRow(name[strings.LastIndex(name, "\x00")+1:], before[name], after[name])
			d.Rows = append(d.Rows, row)
		}
	}
	if len(d.Rows) == 0 {
		d.Rows = append(d.Rows, templates.DiffRowView{Field: "What it relies on", Before: "as it was", After: "as it is at Composio now"})
	}
	return d
}

// wantedBy flattens what items want, by item and field.
func wantedBy(items []change.Item) mirror.Values {
	out := mirror.Values{}
	for i, it := range items {
		prefix := strconv.Itoa(i) + "\x00"
		for name, v := range it.Set {
			out[prefix+name] = v
		}
		for _, c := range it.Credentials {
			out[prefix+c.Field] = []string{"fingerprint " + c.Fingerprint}
		}
	}
	return out
}

func itemsDiff(items []change.Item) templates.DiffView {
	d := templates.DiffView{Before: "Now", After: "Then"}
	for _, it := range items {
		d.Rows = append(d.Rows, itemDiff(it).Rows...)
	}
	return d
}

// moved is the page that says that a request isn't what somebody decided about.
func (b changeBuilder) moved(frame templates.PageView, saw string) templates.MovedView {
	r := b.request
	return templates.MovedView{
		Page: frame, Title: "Changed since you looked", Diff: b.between(saw),
		Text: r.Revision.By.Name + " made revision " + strconv.Itoa(r.Revision.Number) + " of this request in the meantime. Look at what is different, then decide about what it is now.",
		Back: templates.LinkView{Text: "Open the request as it is now", URL: templates.Local(changePath(r.ID))},
	}
}
