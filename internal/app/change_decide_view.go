package app

import (
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/web/templates"
)

// typedIn is what was typed into a form that has complaints or comes back from a
// step-up, and the complaint.
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
	if reviewing && b.here.May(access.ApproveChange) || r.Barred(b.reader.ID, b.people) != "" {
		v.WhyNot = why
	}
	if !r.Voter(b.reader.User) && !voted {
		return
	}
	if reviewing && why == "" {
		v.Approve = b.voteForm("approve", change.Approve, "Approve…", "a", "You agree to exactly what this page shows. If it is changed, your approval doesn't count any more.", "Approve", "primary")
	}
	named := r.Voter(b.reader.User)
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
	if r.Stuck(b.people) {
		v.Waiting = strings.TrimSpace(v.Waiting + " Too few to agree: it gives the others rights. It waits until somebody else may approve.")
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
