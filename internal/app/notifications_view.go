package app

import (
	"strings"
	"time"

	"gatehouse/internal/notify"
	"gatehouse/web/templates"
)

// whyWords say for what reason somebody is told, and of what kind of event.
var whyWords = map[notify.Why]struct{ short, name, hint string }{
	notify.NeedsMe:    {"waits for you", "Needs me", "A change request waits for your approval."},
	notify.Mine:       {"your request", "My requests", "Votes, comments and outcomes of what you proposed."},
	notify.Watching:   {"you watch it", "Watching", "The same for requests in which you take part."},
	notify.BreakGlass: {"break-glass", "Break-glass", "Somebody skipped approval. Never waits for a digest."},
	notify.Outside:    {"changed outside", "Changed outside", "Somebody changed an auth config at Composio directly, and it matters: approvers and admins hear of it."},
	notify.Security:   {"security", "", ""},
	notify.Asked:      {"asks you", "Questions", "A review of history asks you about an entry."},
}

// bellView leads to what the reader has to read.
func bellView(unread int) templates.BellView {
	v := templates.BellView{URL: "/notifications"}
	switch {
	case unread > 99:
		v.Unread = "99+"
	case unread > 0:
		v.Unread = number(unread)
	}
	return v
}

func notificationView(n notify.Told, now time.Time) templates.NotificationView {
	return templates.NotificationView{
		Text: n.Sentence, Title: templates.LinkView{Text: n.Title, URL: templates.Local(n.Path)},
		Project: n.Project, Why: whyWords[n.Why].short, New: !n.Read, Time: ago(n.At, now),
	}
}

var digestWords = map[notify.Digest]string{
	notify.AtOnce: "At once", notify.Hourly: "Once an hour, together", notify.Daily: "Once a day, together, at 08:00 UTC",
}

func tellMeView(p notify.Preferences) templates.TellMeView {
	v := templates.TellMeView{Digest: templates.SelectView{Name: "digest", Label: "Send mail"}}
	for _, why := range notify.Whys() {
		w := whyWords[why]
		v.Rows = append(v.Rows, templates.TellMeRowView{Value: string(why), Name: w.name, Hint: w.hint, Page: p.Page[why], Mail: p.Mail[why]})
	}
	for _, d := range notify.Digests() {
		v.Digest.Options = append(v.Digest.Options, templates.OptionView{Value: string(d), Text: digestWords[d], Selected: d == p.Digest})
	}
	return v
}

// topicWords say what each topic of a channel is, and what is in it.
var topicWords = map[notify.Topic]struct{ name, hint string }{
	notify.Approval: {"Approval asked for", "A change request waits for approval."},
	notify.Decision: {"Decisions", "Votes, approvals, rejections."},
	notify.Outcome:  {"Outcomes", "Applied, failed, cancelled, expired."},
	notify.Trouble:  {"Obstacles and schedules", "Stale, scheduled, suspended."},
	notify.Bypass:   {"Break-glass", "Approval was skipped, and later ratified."},
	notify.Comment:  {"Comments", "That somebody commented, not what they wrote."},
	notify.Drift:    {"Changed outside", "Somebody changed an auth config at Composio directly, and it matters."},
}

var kindWords = map[string]string{notify.Slack: "Slack", notify.Teams: "Microsoft Teams", notify.Webhook: "Signed webhook"}

func channelView(c notify.Channel, now time.Time) templates.ChannelView {
	v := templates.ChannelView{Name: c.Name, Kind: kindWords[c.Kind], Address: c.Host + "/…" + c.Last4, OK: ago(c.Health.OKAt, now)}
	var topics []string
	for _, t := range c.Topics {
		topics = append(topics, topicWords[t].name)
	}
	v.Topics = strings.Join(topics, ", ")
	if c.Health.Problem != "" {
		v.Problem, v.Failed = c.Health.Problem, ago(c.Health.FailedAt, now)
	}
	return v
}

// mailFacts are what admins want to know of mail.
func mailFacts(from, server string, h notify.Health, now time.Time) []templates.FactView {
	if from == "" {
		return []templates.FactView{{Name: "Server", Text: "None is set, so no mail is sent. An operator sets CONSOLE_SMTP_ADDR and CONSOLE_SMTP_FROM."}}
	}
	facts := []templates.FactView{{Name: "Server", Text: server}, {Name: "From", Text: from}, {Name: "Last success", Time: ago(h.OKAt, now)}}
	if h.Problem != "" {
		facts = append(facts, templates.FactView{Name: "Last failure", Time: ago(h.FailedAt, now)}, templates.FactView{Name: "Why", Text: h.Problem})
	}
	return facts
}

func deliveryView(d notify.Pending, now time.Time) templates.DeliveryView {
	v := templates.DeliveryView{
		To: d.To, Problem: d.Problem, Tries: plural(d.Tries, "try", "tries"), State: templates.BadgeView{Text: "Waits", Tone: "warn"}, Next: exact(d.Due),
		Event: templates.LinkView{Text: "Entry " + number(int(d.Seq)), URL: templates.Local(entryPath(d.Seq))},
	}
	if d.Tries == 0 {
		v.Problem, v.Tries, v.Next = "Waits for its turn", "not tried yet", templates.TimeView{}
	}
	if d.GivenUp {
		v.State, v.Next, v.Tries = templates.BadgeView{Text: "Given up", Tone: "bad"}, templates.TimeView{}, v.Tries+", the first "+ago(d.Created, now).Text
	}
	return v
}
