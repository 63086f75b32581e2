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

// typedIn is what was typed into a form that has complaints, and the complaint.
func (b changeBuilder) typedIn(action, name string) (value, complaint string) {
	if b.state.action != action {
		return "", ""
	}
	return b.typed.Get(name), fieldComplaints(b.state.complaint)[name]
}

// decisions offers what this reader may decide.
func (b changeBuilder) decisions(v *templates.ChangeCardView) {
	r := b.request
	v.Progress = progressWords(r.Approvals)
	reviewing := r.State == change.InReview || r.State == change.ChangesRequested
	last, voted := r.Standing(b.reader.ID)
	if !reviewing && (!voted || !r.State.Waiting()) {
		return
	}
	why := r.WhyNotApprove(b.reader.User, b.people)
	contributed := slices.Contains(r.Revision.Contributors, b.reader.ID)
	if reviewing && b.reader.May(access.ApproveChange) || contributed {
		v.WhyNot = why
	}
	if contributed || !b.reader.May(access.ApproveChange) {
		return
	}
	if reviewing && why == "" {
		v.Approve = b.voteForm("approve", change.Approve, "Approve…", "a", "You agree to exactly what this page shows. If it is changed, your approval doesn't count any more.", "Approve", "primary")
	}
	named := why == "" || voted || strings.HasPrefix(why, "It isn't your turn")
	asked := voted && last.Decision == change.RequestChanges
	if reviewing && named && !asked {
		v.Changes = b.voteForm("request-changes", change.RequestChanges, "Request changes…", "c", "It waits until you vote again, or for a new revision.", "Request changes", "")
	}
	if named {
		v.Reject = b.voteForm("reject", change.Reject, "Reject…", "", "Ends this request for good. Its author can copy it into a new one.", "Reject", "danger")
	}
	if voted {
		v.Withdraw = b.voteForm("withdraw", change.Withdraw, "Take back my vote…", "", "It is as if you hadn't voted; that you did stays in History.", "Take back my vote", "")
	}
}

func (b changeBuilder) voteForm(path string, d change.Decision, open, key, say, button, tone string) templates.VoteFormView {
	v := templates.VoteFormView{
		Form: b.form(changePath(b.request.ID) + "/" + path), Open: open, Key: key, Say: say, Button: button, Tone: tone, Effect: b.request.Revision.EffectHash,
	}
	if d != change.Withdraw {
		value, complaint := b.typedIn(string(d), "reason")
		v.Reason = templates.InputView{Name: "reason", ID: path + "-reason", Label: "Reason", Rows: 2, Optional: d == change.Approve, Required: d != change.Approve, Value: value, Complaint: complaint}
	}
	v.Expanded = b.state.action == string(d)
	return v
}

// approvals lists who said what, and who can still approve.
func (b changeBuilder) approvals(v *templates.ChangeCardView) {
	r := b.request
	words := map[change.Decision]templates.BadgeView{
		change.Approve: {Text: "Approved", Tone: "good"}, change.Reject: {Text: "Rejected", Tone: "bad"},
		change.RequestChanges: {Text: "Asked for changes", Tone: "warn"}, change.Withdraw: {Text: "Took it back"},
	}
	for _, one := range slices.Backward(r.Votes) {
		standing, ok := r.Standing(one.Reviewer.ID)
		view := templates.VoteView{
			Face: face(one.Reviewer.Name, one.Reviewer.ID), Name: one.Reviewer.Name, Badge: words[one.Decision], Reason: one.Reason,
			At: ago(one.At, b.now), Old: !ok || standing.ID != one.ID,
		}
		if one.Decision == change.Reject {
			view.Old = false
		}
		if view.Old && one.Revision != r.Revision.Number {
			view.Badge.Text += " revision " + strconv.Itoa(one.Revision)
		}
		if view.Old {
			view.Badge.Tone = ""
		}
		v.Votes = append(v.Votes, view)
	}
	var who []string
	for _, u := range b.awaited {
		who = append(who, u.Name)
	}
	if n := len(who); n > 8 {
		who = append(who[:8], number(n-8)+" more")
	}
	if len(who) > 0 {
		v.Waiting = "Can still approve: " + listed(who, "and") + "."
	}
}

// checks are what has to hold before the request is applied.
func (b changeBuilder) checks() []templates.CheckLineView {
	r := b.request
	if !b.waits() {
		return nil
	}
	tally := r.Tally(b.people)
	line := func(ok bool, yes, no string) templates.CheckLineView {
		if ok {
			return templates.CheckLineView{OK: true, Text: yes}
		}
		return templates.CheckLineView{Text: no}
	}
	var out []templates.CheckLineView
	if r.State != change.Draft {
		missing := b.missing(tally)
		out = append(out, line(tally.Met, "The policies are satisfied.", "Still needed: "+listed(missing, "and")+"."))
	}
	if r.Project == "" {
		return out
	}
	out = append(out, line(!b.stale(), "What it relies on is unchanged at Composio.", "What it relies on changed at Composio."))
	other := ""
	for _, it := range r.Revision.Items {
		if id := b.busy[it.Target]; id != "" && id != r.ID && it.Target != "" {
			other = it.Name
		}
	}
	out = append(out, line(other == "", "No other open request is about the same.", "Another open request is about "+other+" too. Only one is applied at a time."))
	for _, f := range b.rules.Freezes {
		if f.Covers(b.project, b.now) {
			out = append(out, templates.CheckLineView{Text: "The freeze window " + f.Name + " lasts until " + exact(f.Until).Text + "."})
		}
	}
	return out
}

// missing says whose approvals are still needed. Of needs that anyone can meet,
// the largest stands for all.
func (b changeBuilder) missing(t change.Tally) []string {
	var words []string
	anyone := change.Need{}
	for _, need := range t.Open {
		if len(need.Roles)+len(need.Groups)+len(need.People) == 0 {
			anyone.Count = max(anyone.Count, need.Count)
			continue
		}
		words = append(words, needWords(need, b.names))
	}
	if anyone.Count > 0 {
		words = append(words, needWords(anyone, b.names))
	}
	return words
}

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
	if !b.waits() || !b.stale() && r.Note == "" || r.Project == "" || !b.reader.May(access.ProposeChange) || r.State == change.Suspended && !b.stale() {
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

// talk is the discussion.
func (b changeBuilder) talk() templates.TalkView {
	r := b.request
	text, complaint := b.typedIn("comment", "text")
	v := templates.TalkView{
		Form:  b.form(changePath(r.ID) + "/comment"),
		Text:  templates.InputView{Name: "text", Label: "Comment", Rows: 3, Required: true, Value: text, Complaint: complaint},
		About: templates.SelectView{Name: "about", Label: "About", Options: []templates.OptionView{{Value: "", Text: "The whole request"}}},
	}
	for i, it := range r.Revision.Items {
		for _, f := range sortedKeys(wantedBy([]change.Item{it})) {
			f = f[strings.LastIndex(f, "\x00")+1:]
			label := fieldLabel(f)
			if len(r.Revision.Items) > 1 {
				label += " of " + it.Name
			}
			v.About.Options = append(v.About.Options, templates.OptionView{Value: strconv.Itoa(i) + "/" + f, Text: label})
		}
	}
	for _, c := range b.comments {
		one := templates.CommentView{ID: c.ID, Face: face(c.Author.Name, c.Author.ID), Name: c.Author.Name, Text: c.Text, At: ago(c.At, b.now), Edited: !c.EditedAt.IsZero()}
		if c.Field != "" {
			one.About = fieldLabel(c.Field)
		}
		if c.Author.ID == b.reader.ID {
			one.Edit = v.Form
			one.Edit.OpID = b.form(changePath(r.ID) + "/comment").OpID
			one.Input = templates.InputView{Name: "text", ID: "text-" + c.ID, Label: "Comment", Rows: 3, Value: c.Text, Required: true}
		}
		v.Comments = append(v.Comments, one)
	}
	return v
}

// actions offers what this reader may do next.
func (b changeBuilder) actions(v *templates.ChangeCardView) {
	r, path := b.request, changePath(b.request.ID)
	mine, may := b.reader.ID == r.Author.ID, b.reader.May(r.Takes())
	v.Rebase = b.rebase()
	if r.State == change.Draft && mine && may {
		v.Submit = templates.ActionView{Form: b.form(path + "/submit"), Text: "Send for approval", Hint: "Others see it from then on."}
	}
	b.applying(v, path, may)
	if may && (r.State == change.Partial || r.State == change.Applied) && r.Project != "" && r.Revision.Items[0].Operation != change.Delete {
		v.Revert = templates.ActionView{Form: b.form(path + "/revert"), Text: "Revert what was done", Hint: "Opens a new change request that undoes it. Deleted configs and earlier credentials can't be brought back."}
	}
	b.linking(v, may)
	if (mine || b.reader.May(access.CancelChange)) && (r.State.Waiting() || r.State == change.Failed || r.State == change.Partial) && (r.State != change.Approved || r.ApplyAfter.IsZero()) {
		v.Cancel = templates.ActionView{Form: b.form(path + "/cancel"), Text: "Cancel request", Hint: "Nothing more is sent, and credentials that wait are destroyed."}
		if r.Project == "" {
			v.Cancel.Hint = "Nothing is changed."
		}
		if r.State == change.Failed || r.State == change.Partial {
			v.Cancel.Text = "Close request"
		}
		if !mine {
			value, complaint := b.typedIn("cancel", "reason")
			v.Why = templates.InputView{Name: "reason", ID: "cancel-reason", Label: "Reason", Required: true, Value: value, Complaint: complaint}
		}
	}
	b.bypassing(v, path)
	text, on := "Watch", path+"/watch"
	if b.watching {
		text, on = "Stop watching", path+"/unwatch"
	}
	v.Watch = templates.ActionView{Form: b.form(on), Text: text}
}

// applying offers to apply, retry or schedule.
func (b changeBuilder) applying(v *templates.ChangeCardView, path string, may bool) {
	r := b.request
	if !may {
		return
	}
	apply := func(text, hint string) {
		v.Apply = templates.ActionView{Form: b.form(path + "/apply"), Text: text, Hint: hint}
	}
	hint := "Sends it to Composio now."
	if r.Project == "" {
		hint = "It counts from then on."
	}
	switch {
	case r.State == change.Failed:
		apply("Try again", "Sends what is not done yet.")
	case r.State == change.Partial:
		apply("Continue", "Sends what is not done yet.")
	case r.State == change.Suspended:
		apply("Resume and apply", "Everything is checked again first.")
	case r.State == change.Scheduled:
		apply("Apply now", hint)
		v.Schedule.Undo = templates.ActionView{Form: b.form(path + "/unschedule"), Text: "Take from the schedule", Hint: "It stays approved."}
	case r.State == change.Approved && r.ApplyAfter.IsZero():
		apply("Apply", hint)
	}
	if r.Project != "" && (r.State == change.Approved && r.ApplyAfter.IsZero() || r.State == change.Scheduled) {
		at, wrongAt := b.typedIn("schedule", "at")
		zone, wrongZone := b.typedIn("schedule", "zone")
		if zone == "" {
			zone = "UTC"
		}
		v.Schedule.Form = b.form(path + "/schedule")
		v.Schedule.At = templates.InputView{Name: "at", Label: "Apply at", Type: "datetime-local", Required: true, Value: at, Complaint: wrongAt}
		v.Schedule.Zone = templates.InputView{Name: "zone", Label: "Time zone", Required: true, Value: zone, Complaint: wrongZone, Hint: "Such as Europe/Berlin or UTC."}
	}
}

// linking offers forms that are filled with this request.
func (b changeBuilder) linking(v *templates.ChangeCardView, may bool) {
	r := b.request
	if !may || r.Project == "" || len(r.Revision.Items) != 1 {
		return
	}
	it := r.Revision.Items[0]
	to := func(parameter string) templates.URL {
		switch it.Operation {
		case change.Update:
			return templates.Local(query(configPath(b.project.Slug, it.Target)+"/edit", parameter, r.ID))
		case change.Create:
			return templates.Local(query(configsPath(b.project.Slug)+"/new", "toolkit", it.Toolkit, "managed", strconv.FormatBool(it.Managed), "scheme", it.Scheme, parameter, r.ID))
		}
		return templates.Local(query(configPath(b.project.Slug, it.Target)+"/impact", "do", string(it.Operation)))
	}
	if r.State.Waiting() && (it.Operation == change.Update || it.Operation == change.Create) && (r.State != change.Approved || r.ApplyAfter.IsZero()) {
		v.Edit = templates.LinkView{Text: "Edit request", URL: to("request")}
	}
	switch r.State {
	case change.Rejected, change.Cancelled:
		v.Copy = templates.LinkView{Text: "Copy to a new request", URL: to("copy")}
	case change.Expired, change.Superseded:
		v.Copy = templates.LinkView{Text: "Renew", URL: to("copy")}
	}
}

// bypassing offers break-glass, and the look back at it.
func (b changeBuilder) bypassing(v *templates.ChangeCardView, path string) {
	r := b.request
	if r.MayBypass(b.reader.User, b.rules) && !r.Tally(b.people).Met {
		incident, wrongIncident := b.typedIn("bypass", "incident")
		reason, wrongReason := b.typedIn("bypass", "reason")
		confirm, wrongConfirm := b.typedIn("bypass", "confirm")
		v.Bypass = templates.BypassFormView{
			Effect:   r.Revision.EffectHash,
			Old:      b.now.Sub(b.reader.Since) > change.FreshSignIn,
			Form:     b.form(path + "/bypass"),
			Incident: templates.InputView{Name: "incident", Label: "Incident", Required: true, Value: incident, Complaint: wrongIncident, Hint: "Its id, such as INC-123."},
			Reason:   templates.InputView{Name: "reason", ID: "bypass-reason", Label: "Why this can't wait", Rows: 2, Required: true, Value: reason, Complaint: wrongReason},
			Confirm:  templates.InputView{Name: "confirm", Label: "Type the name to confirm: " + r.Revision.Items[0].Name, Required: true, Complete: "off", Value: confirm, Complaint: wrongConfirm},
		}
	}
	if r.MayReviewBypass(b.reader.User) {
		comment, wrong := b.typedIn("review", "comment")
		v.Look = templates.LookView{Form: b.form(path + "/review"), Comment: templates.InputView{Name: "comment", Label: "Your review", Rows: 2, Value: comment, Complaint: wrong}}
	}
}
