package app

import (
	"time"

	"gatehouse/internal/change"
	"gatehouse/web/templates"
)

var verdictWords = []struct {
	verdict          change.Verdict
	one, many, badge string
	tone             string
}{
	{change.WouldRefuse, "request would be refused, since no policy covers it", "requests would be refused, since no policy covers them", "Refused", "bad"},
	{change.WouldStick, "request could never be approved", "requests could never be approved", "Never approved", "bad"},
	{change.WouldMore, "request would need more approvals", "requests would need more approvals", "More", "warn"},
	{change.WouldFewer, "request would need fewer approvals", "requests would need fewer approvals", "Fewer", "info"},
	{change.WouldOther, "request would need as many approvals, but from others", "requests would need as many approvals, but from others", "Others", "info"},
}

// simulationView puts a simulation into words.
func simulationView(sim change.Simulation, now time.Time) templates.SimulationView {
	v := templates.SimulationView{Title: "Replayed: " + plural(sim.Requests, "change request", "change requests") + " of the last 90 days, " + number(sim.Open) + " of them open."}
	total := 0
	badges := map[change.Verdict]templates.BadgeView{}
	for _, w := range verdictWords {
		n := sim.Count[w.verdict]
		badges[w.verdict] = templates.BadgeView{Text: w.badge, Tone: w.tone}
		total += n
		if n == 0 {
			continue
		}
		text := w.many
		if n == 1 {
			text = w.one
		}
		v.Facts = append(v.Facts, templates.SimulationFactView{Count: number(n), Text: text})
	}
	switch {
	case sim.Requests == 0:
		v.Calm = "There is nothing to replay yet."
	case total == 0:
		v.Calm = "None of them would go another way."
	}
	for _, one := range sim.Cases {
		v.Cases = append(v.Cases, templates.CaseView{
			Title: one.Title, URL: templates.Local(changePath(one.ID)), Badge: badges[one.Verdict], Text: caseWords(one), Age: ago(one.CreatedAt, now),
		})
	}
	if more := total - len(sim.Cases); more > 0 {
		v.More = "And " + number(more) + " more."
	}
	return v
}

func caseWords(one change.Case) string {
	text := plural(one.Before, "approval", "approvals") + " → " + number(one.After)
	switch one.Verdict {
	case change.WouldRefuse:
		text = "No policy covers it"
	case change.WouldStick:
		text = one.Why
	case change.WouldOther:
		text = plural(one.After, "approval", "approvals") + ", from others"
	}
	if one.Already {
		text += " It is so today, too."
	}
	if one.Open {
		return "Open. " + text
	}
	return text
}
