package app

import (
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/web/templates"
)

// actions offers what this reader may do next.
func (b changeBuilder) actions(v *templates.ChangeCardView) {
	r, path := b.request, changePath(b.request.ID)
	mine, may := b.reader.ID == r.Author.ID, b.here.May(r.Takes())
	v.Rebase = b.rebase()
	if r.State == change.Draft && mine && may {
		v.Submit = templates.ActionView{Form: b.form(path + "/submit"), Text: "Send for approval", Hint: "Others see it from then on."}
	}
	b.applying(v, path, may)
	if may && (r.State == change.Partial || r.State == change.Applied) && r.Project != "" && r.Revision.Items[0].Operation != change.Delete {
		v.Revert = templates.ActionView{Form: b.form(path + "/revert"), Text: "Revert what was done", Hint: "Opens a new change request that undoes it. Deleted configs and earlier credentials can't be brought back."}
	}
	b.linking(v, may)
	if (mine || b.here.May(access.CancelChange)) && (r.State.Waiting() || r.State == change.Failed || r.State == change.Partial) && (r.State != change.Approved || r.ApplyAfter.IsZero()) {
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
	case b.lapsed():
		return
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
			Old:      !b.reader.Fresh(b.now),
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
