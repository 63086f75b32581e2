package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"

	ql "gatehouse/internal/query"
	"gatehouse/internal/secret"
	"gatehouse/web/templates"
)

// changesFrame is what surrounds the pages about change requests.
func changesFrame(title string) templates.PageView {
	frame, _ := fixedView()
	frame.Title, frame.Environment, frame.Sync = title, templates.EnvironmentView{}, templates.SyncView{}
	frame.Nav = frame.Nav[:len(frame.Nav)-1]
	for i := range frame.Nav {
		frame.Nav[i].Current = frame.Nav[i].Name == "Changes"
		if frame.Nav[i].Current {
			frame.Nav[i].Count = "201"
		}
	}
	frame.Crumbs = []templates.LinkView{{Text: title}}
	frame.Bell = templates.BellView{URL: "/notifications"}
	return frame
}

// fixedChanges is a page of an inbox tab. Those of ended requests have no count
// of approvals.
func fixedChanges(tab string) templates.ChangesView {
	v := templates.ChangesView{
		Page:   changesFrame("Changes"),
		Search: fixedSearch(),
		Pager:  templates.PagerView{Text: "50 change requests on this page", Next: templates.URL("/changes?tab=" + tab + "&before=1795436472441324")},
	}
	for _, t := range []struct{ key, text, count string }{{"needs", "Needs me", "201"}, {"mine", "Mine", "50"}, {"watching", "Watching", "101"}, {"open", "All open", "501"}, {"done", "Done", ""}} {
		v.Tabs = append(v.Tabs, templates.TabView{Text: t.text, URL: templates.URL("/changes?tab=" + t.key), Count: t.count, Current: t.key == tab})
	}
	if tab == "needs" {
		v.Pager.Next = ""
	}
	random := rand.New(rand.NewPCG(5, 5))
	for i := range 50 {
		id := "chg_" + secret.Code(16)
		row := templates.RequestRowView{
			ID: id, Title: fmt.Sprintf("Edit %s-finance-stage-%05d", toolkits[i%len(toolkits)], random.IntN(10_000)), URL: templates.URL("/changes/" + id),
			State: templates.BadgeView{Text: "In review", Tone: "info"}, Author: fmt.Sprintf("Editor %d", i%editors), Project: "Bench",
			Avatar: templates.AvatarView{Letter: "E" + strconv.Itoa(i%10), Hue: strconv.Itoa(i % 8)}, Age: fixedTime(), Tally: "1 of 3",
		}
		if tab == "done" {
			row.State, row.Tally = templates.BadgeView{Text: "Rejected", Tone: "bad"}, ""
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}

// fixedSearch is the field above an inbox, with its help.
func fixedSearch() templates.AskedView {
	v := templates.AskedView{Action: "/changes", Placeholder: "Words, or terms such as author:emil is:open after:7d"}
	for _, k := range ql.Requests.Keys {
		one := templates.SearchKeyView{Name: k.Name + ":", Text: k.Help + "."}
		for i := range max(1, len(k.Values)) {
			e := templates.ExampleView{Link: templates.LinkView{Text: k.Example, URL: templates.URL("/changes?q=" + url.QueryEscape(k.Example))}}
			if i < len(k.Helps) {
				e.Text = k.Helps[i]
			}
			one.Examples = append(one.Examples, e)
		}
		v.Help = append(v.Help, one)
	}
	return v
}

// fixedChange is the page of a change request with two votes, ten remarks and
// two revisions, as somebody sees it who may decide.
func fixedChange() templates.ChangeView {
	const id, name = "chg_EN11V0NA8JHD8J8C", "airtable-finance-stage-01248"
	base := "/changes/" + id
	effect := strings.Repeat("0123456789abcdef", 4)
	form := func(action string) templates.FormView {
		return templates.FormView{Action: templates.URL(base + "/" + action), Token: "0123456789012345678901234567890123456789012", OpID: "0123456789abcdef0123456789012345"}
	}
	vote := func(action, open, key, say, button, tone string) templates.VoteFormView {
		return templates.VoteFormView{
			Form: form(action), Open: open, Key: key, Say: say, Button: button, Tone: tone, Effect: effect,
			Reason: templates.InputView{Name: "reason", ID: action + "-reason", Label: "Reason", Rows: 2, Required: true},
		}
	}
	frame := changesFrame("Edit " + name)
	frame.Crumbs = []templates.LinkView{{Text: "Changes", URL: "/changes"}, {Text: "Edit " + name}}
	frame.Environment = templates.EnvironmentView{Name: "staging", Text: "Staging"}
	frame.Sync = templates.SyncView{Tone: "good", Lead: "Synced", Time: fixedTime(), Now: form("sync")}
	at := templates.TimeView{Text: fixedTime().Full, ISO: fixedTime().ISO, Full: fixedTime().Full}
	card := templates.ChangeCardView{
		ID: id, Title: "Edit " + name, State: templates.BadgeView{Text: "In review", Tone: "info"}, Say: "This change request is in review",
		Sentence: templates.SentenceView{Who: "Editor 0", Did: "wants to edit", Object: templates.LinkView{Text: name}, More: "in Bench"},
		Notes:    []templates.NoticeView{{Tone: "info", Text: "It waits for approval. Nothing has been sent yet."}},
		Reason:   "The team that owns it asked for this, see the ticket.", Progress: "2 of 3",
		Waiting: "Can still approve: Lead 0, Lead 1, Rita Reviewer, Voter 10, Voter 11, Voter 12, Voter 13, Voter 14 and 13 more.",
		Items: []templates.ItemView{{
			Title: "Edit " + name, Config: templates.LinkView{URL: "/projects/bench/auth-configs/ac_tS6U8-ev5K8k"}, State: templates.BadgeView{Text: "Waiting"}, Number: "0",
			Diff: templates.DiffView{Before: "Now", After: "Then", Rows: []templates.DiffRowView{{Field: "Name", Before: name, After: name + "-again"}}}, Impact: "Today it is 1 active connection.",
		}},
		Checks: []templates.CheckLineView{{Text: "Still needed: 1 approval."}, {OK: true, Text: "What it relies on is unchanged at Composio."}, {OK: true, Text: "No other open request is about the same."}},
		Facts: []templates.FactView{
			{Name: "Proposed", Time: fixedTime()}, {Name: "Policy", Text: "In Bench, editing auth configs needs 3 approvals."}, {Name: "Revision", Text: "2, by Editor 0"},
			{Name: "Expires", Time: at}, {Name: "Request", Code: id}, {Name: "Effect", Code: effect},
		},
		Edit:    templates.LinkView{Text: "Edit request", URL: "/projects/bench/auth-configs/ac_tS6U8-ev5K8k/edit?request=" + id},
		Watch:   templates.ActionView{Form: form("watch"), Text: "Watch"},
		Approve: vote("approve", "Approve…", "a", "You agree to exactly what this page shows. If it is changed, your approval doesn't count any more.", "Approve", "primary"),
		Changes: vote("request-changes", "Request changes…", "c", "It waits until you vote again, or for a new revision.", "Request changes", ""),
		Reject:  vote("reject", "Reject…", "", "Ends this request for good. Its author can copy it into a new one.", "Reject", "danger"),
	}
	for i := range 2 {
		card.Votes = append(card.Votes, templates.VoteView{Face: templates.AvatarView{Letter: "V1", Hue: "7"}, Name: fmt.Sprintf("Voter %d", i), Badge: templates.BadgeView{Text: "Approved", Tone: "good"}, Reason: "Looked at it together.", At: fixedTime()})
	}
	card.Talk = fixedTalk(form)
	for i := range 15 {
		card.Timeline = append(card.Timeline, templates.EntryView{
			Seq: strconv.Itoa(110_000 + i), URL: templates.URL("/history/" + strconv.Itoa(110_000+i)), At: at,
			Sentence: templates.SentenceView{Who: fmt.Sprintf("Editor %d", i), Did: "commented on", Object: templates.LinkView{Text: "Edit " + name, URL: templates.URL(base)}},
			Facts: []templates.FactView{
				{Name: "Action", Text: "change.commented"}, {Name: "Outcome", Text: "ok"}, {Name: "Object", Text: "change_request " + id}, {Name: "Actor id", Text: "usr_0123456789ABCDEF"},
				{Name: "Comment", Text: "com_0123456789ABCDEF"}, {Name: "State", Text: "in_review"}, {Name: "Revision", Text: "2"}, {Name: "Toolkit", Text: "airtable"}, {Name: "Items", Text: "1"},
			},
		})
	}
	return templates.ChangeView{Page: frame, Card: card}
}

func fixedTalk(form func(string) templates.FormView) templates.TalkView {
	v := templates.TalkView{
		Form:  form("comment"),
		Text:  templates.InputView{Name: "text", Label: "Comment", Rows: 3, Required: true},
		About: templates.SelectView{Name: "about", Label: "About", Options: []templates.OptionView{{Text: "The whole request"}, {Value: "0/name", Text: "Name"}}},
	}
	for i := range 10 {
		c := templates.CommentView{ID: fmt.Sprintf("com_%016d", i), Face: templates.AvatarView{Letter: "E0", Hue: "7"}, Name: "Editor 0", Text: remark(i), At: fixedTime()}
		if i%3 == 2 {
			c.Edit = form("comment")
			c.Input = templates.InputView{Name: "text", ID: "text-" + c.ID, Label: "Comment", Rows: 3, Value: c.Text, Required: true}
		}
		v.Comments = append(v.Comments, c)
	}
	return v
}

func remark(i int) string {
	return fmt.Sprintf("Remark %d, of about as many words as people write when they look at a change together.", i)
}
