package app

import (
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/review"
	"gatehouse/web/templates"
)

// The fields of forms about reviews, by name.
var (
	openingLabels = map[string]string{"name": "Name", "q": "Search", "from": "From", "to": "To"}
	reviewLabels  = map[string]string{"to": "Who is to answer", "comment": "Comment", "answer": "Answer", "conclusion": "Conclusion"}
)

func emptyReviews(v templates.ReviewsView) templates.EmptyView {
	switch {
	case len(v.Rows) > 0 || len(v.Asked) > 0:
		return templates.EmptyView{}
	case v.New != "":
		return templates.EmptyView{Title: "No review yet", Text: "Choose a period, look at what happened, and ask about what isn't clear.", Action: templates.LinkView{Text: "New review", URL: v.New}}
	}
	return templates.EmptyView{Title: "Nothing is asked of you", Text: "When an auditor asks you about an entry of history, the question is here."}
}

// reviewLinks lead from a search of history to reviews.
func reviewLinks(c echo.Context, a asked) []templates.LinkView {
	if !reader(c).May(access.ReviewHistory) {
		return nil
	}
	review := query(reviewsPath+"/new", a.params()...)
	return []templates.LinkView{{Text: "Reviews", URL: reviewsPath}, {Text: "Review this", URL: templates.Local(review)}}
}

func reviewRow(r review.Review, p review.Progress) templates.ReviewRowView {
	return templates.ReviewRowView{
		Title: templates.LinkView{Text: r.Name, URL: templates.Local(reviewPath(r.ID))}, About: reviewAbout(r), Progress: progressText(p),
		State: reviewBadge(r, p), Opened: exact(r.Opened.At), By: r.Opened.By.Name,
	}
}

func progressText(p review.Progress) string {
	return number(p.Looked) + " of " + number(p.Entries) + " looked at"
}

func reviewBadge(r review.Review, p review.Progress) templates.BadgeView {
	switch {
	case !r.Open():
		return templates.BadgeView{Text: "Closed", Tone: "good"}
	case p.Flagged > p.Accepted:
		return templates.BadgeView{Text: plural(p.Flagged-p.Accepted, "open flag", "open flags"), Tone: "warn"}
	}
	return templates.BadgeView{Text: "Open", Tone: "info"}
}

// reviewAbout says what a review is about: the search in words, and the period.
func reviewAbout(r review.Review) string {
	what := "All entries"
	if r.Query != "" {
		what = "Entries that match “" + r.Query + "”"
	}
	return what + " " + periodText(r.From, r.To, r.Opened.At)
}

func periodText(from, to, opened time.Time) string {
	until := "up to " + exact(opened).Full
	if !to.IsZero() && to.Before(opened) {
		until = "to " + dayText(to.AddDate(0, 0, -1))
	}
	if from.IsZero() {
		return "from the first " + until
	}
	return "from " + dayText(from) + " " + until
}

func dayText(t time.Time) string {
	text, _, _ := strings.Cut(exact(t).Full, ",")
	return text
}

func reviewFormView(in reviewForm, wrong map[string]string) templates.ReviewFormView {
	return templates.ReviewFormView{
		Name:  templates.InputView{Name: "name", Label: "Name", Value: in.Name, Complaint: wrong["name"], Required: true, Hint: "Such as “March 2026, production”.", Complete: "off", Focus: true},
		Query: templates.InputView{Name: "q", Label: "Search", Value: in.Query, Complaint: wrong["q"], Optional: true, Hint: "As on the page History. Without one, all entries of the period are reviewed.", Complete: "off"},
		From:  templates.InputView{Name: "from", Label: "From", Type: "date", Value: in.From, Complaint: wrong["from"], Optional: true},
		To:    templates.InputView{Name: "to", Label: "To, that day included", Type: "date", Value: in.To, Complaint: wrong["to"], Optional: true},
	}
}

// flagViews shows flags with their entries and stories.
func (s *Server) flagViews(c echo.Context, flags []review.Flag) ([]templates.FlagView, error) {
	b, err := s.entryBuilder(c)
	if err != nil {
		return nil, err
	}
	views := make([]templates.FlagView, len(flags))
	for i, f := range flags {
		e, entry, err := s.entryOrPlace(c.Request().Context(), b, f.Seq)
		if err != nil {
			return nil, err
		}
		views[i] = flagView(f, entry)
		if !mayRead(reader(c), e) || b.hides(e) { // who is asked sees the sentence, and no more
			all := views[i].Entry
			views[i].Entry = templates.EntryView{Seq: all.Seq, Avatar: all.Avatar, Sentence: all.Sentence, Age: all.Age, At: all.At}
		}
	}
	return views, nil
}

// flagID names a flag within a page.
func flagID(id, seq string) string { return id + "-" + seq }

var stateWords = map[review.State]struct {
	badge templates.BadgeView
	did   string
}{
	review.Asked:    {templates.BadgeView{Text: "Waits for an answer", Tone: "warn"}, "asks"},
	review.Answered: {templates.BadgeView{Text: "Answered", Tone: "info"}, "answers"},
	review.Accepted: {templates.BadgeView{Text: "Settled", Tone: "good"}, "settled it"},
}

func flagView(f review.Flag, e templates.EntryView) templates.FlagView {
	v := templates.FlagView{ID: flagID(f.Review, strconv.FormatInt(f.Seq, 10)), Review: f.Name, State: stateWords[f.State].badge, Assignee: f.Assignee.Name, Entry: e}
	for i, m := range f.Remarks {
		did := stateWords[m.State].did
		if i > 0 && m.State == review.Asked {
			did = "asks again"
		}
		v.Remarks = append(v.Remarks, templates.RemarkView{Who: m.By.Name, Avatar: face(m.By.Name, m.By.ID), Did: did, Text: m.Text, At: exact(m.At)})
	}
	return v
}

// inTheWay says why something can't be done yet.
func inTheWay(err error) templates.NoticeView {
	if p := problem.Of(err); p != nil {
		return templates.NoticeView{Tone: "info", Text: p.Message}
	}
	return templates.NoticeView{}
}

// reviewSentence says what entries about reviews say beyond their action.
func reviewSentence(e audit.Entry, v *templates.SentenceView) {
	n, _ := strconv.Atoi(e.Detail["count"]) // 0 where there is none
	switch e.Action {
	case "review.marked":
		v.Did = "looked at " + plural(n, "entry", "entries") + " in the review"
	case "review.unmarked":
		v.Did = "took the marks off " + plural(n, "entry", "entries") + " in the review"
	case "review.flagged", "review.answered", "review.reopened", "review.accepted":
		v.Did += " entry " + e.Detail["entry"] + " in the review"
	}
}
