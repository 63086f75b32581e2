package app

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/review"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// reviewTyped is what was typed into the form of a review that is shown again.
type reviewTyped struct {
	mark       reviewMarkForm
	conclusion string
	flag       flagForm
	seq        string // of the flag
	again      bool   // it is asked again; else settled
}

// complaints sum up what is wrong with a form; each leads to its field.
func (t reviewTyped) complaints(id string, err error) templates.ComplaintsView {
	v := complaintsView(err, reviewLabels)
	if t.seq == "" {
		return v
	}
	for i := range v.Fields {
		field := "settle"
		switch {
		case v.Fields[i].URL == "#input-to":
			field = "to"
		case t.again:
			field = "again"
		}
		v.Fields[i].URL = templates.URL("#input-" + field + "-" + flagID(id, t.seq))
	}
	return v
}

// reviewPage shows a review, or a form of it again, with what was typed.
func (s *Server) reviewPage(c echo.Context, typed reviewTyped, complaint error) error {
	ctx := c.Request().Context()
	r, err := s.store.Review(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	p, err := s.store.ReviewProgress(ctx, r.ID)
	if err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: r.Name, nav: "History", crumbs: reviewCrumbs})
	if err != nil {
		return err
	}
	v := auditReview(r, p)
	v.Page, v.Complaints = frame, typed.complaints(r.ID, complaint)
	part := reviewPart(typed.mark.Part, r, p)
	v.Part, v.Tabs = string(part), reviewTabs(r, p, part)
	if err := s.reviewEntries(c, &v, r, part, typed.mark.IDs); err != nil {
		return err
	}
	if r.Open() {
		if err := s.reviewForms(c, &v, r, p, typed, complaint); err != nil {
			return err
		}
		if err := s.closeForm(c, &v, r, p, typed.conclusion, complaint); err != nil {
			return err
		}
	}
	if complaint != nil {
		return again(c, templates.AuditReview(v))
	}
	return page(c, templates.AuditReview(v))
}

func auditReview(r review.Review, p review.Progress) templates.AuditReviewView {
	v := templates.AuditReviewView{
		Name: r.Name, State: reviewBadge(r, p), About: reviewAbout(r),
		Search:   templates.LinkView{Text: "Open the search", URL: templates.Local(searchPath(r))},
		Progress: templates.ProgressView{Text: progressText(p), Done: strconv.Itoa(p.Looked), Of: strconv.Itoa(p.Entries)},
		Numbers: []templates.FactView{
			{Name: "Opened", Text: "by " + r.Opened.By.Name + ", " + exact(r.Opened.At).Full},
			{Name: "Flags", Text: flagNumbers(p)},
		},
		Empty: templates.EmptyView{Title: "Nothing here", Text: "No entry of this review is in this part of it."},
	}
	if !r.Open() {
		v.Numbers = append(v.Numbers, templates.FactView{Name: "Closed", Text: "by " + r.Closed.By.Name + ", " + exact(r.Closed.At).Full}, templates.FactView{Name: "Conclusion", Text: r.Conclusion})
		v.Report = templates.Local(reviewPath(r.ID) + "/report")
	}
	return v
}

func flagNumbers(p review.Progress) string {
	if p.Flagged == 0 {
		return "None"
	}
	var parts []string
	for _, one := range []struct {
		n    int
		text string
	}{{p.Flagged - p.Answered - p.Accepted, "to be answered"}, {p.Answered, "answered"}, {p.Accepted, "settled"}} {
		if one.n > 0 {
			parts = append(parts, number(one.n)+" "+one.text)
		}
	}
	return strings.Join(parts, ", ")
}

// searchPath leads to the search that a review is about, as it finds now.
func searchPath(r review.Review) string {
	pairs := []string{"q", r.Query}
	if !r.From.IsZero() {
		pairs = append(pairs, "from", r.From.Format(time.DateOnly))
	}
	if !r.To.IsZero() {
		pairs = append(pairs, "to", r.To.AddDate(0, 0, -1).Format(time.DateOnly))
	}
	return query("/history", pairs...)
}

// reviewPart is which entries are shown: of an open review those that are left.
func reviewPart(asked string, r review.Review, p review.Progress) store.ReviewPart {
	part := store.ReviewPart(asked)
	switch {
	case slices.Contains([]store.ReviewPart{store.ReviewAll, store.ReviewLeft, store.ReviewLooked, store.ReviewFlagged}, part):
		return part
	case r.Open() && p.Looked < p.Entries:
		return store.ReviewLeft
	case p.Flagged > 0:
		return store.ReviewFlagged
	}
	return store.ReviewAll
}

func reviewTabs(r review.Review, p review.Progress, current store.ReviewPart) []templates.TabView {
	var tabs []templates.TabView
	for _, t := range []struct {
		part  store.ReviewPart
		text  string
		count int
	}{
		{store.ReviewLeft, "To look at", p.Entries - p.Looked}, {store.ReviewFlagged, "Flagged", p.Flagged},
		{store.ReviewLooked, "Looked at", p.Looked - p.Flagged}, {store.ReviewAll, "All", p.Entries},
	} {
		tabs = append(tabs, templates.TabView{Text: t.text, URL: templates.Local(query(reviewPath(r.ID), "part", string(t.part))), Count: number(t.count), Current: t.part == current})
	}
	return tabs
}

// reviewEntries reads the page of entries.
func (s *Server) reviewEntries(c echo.Context, v *templates.AuditReviewView, r review.Review, part store.ReviewPart, picked []string) error {
	ctx := c.Request().Context()
	marks, err := s.store.ReviewMarks(ctx, r.ID, part, beforeParam(c), reviewsPerPage+1)
	if err != nil || len(marks) == 0 {
		return err
	}
	path := reviewPath(r.ID)
	if beforeParam(c) > 0 {
		v.Pager.Previous = templates.Local(query(path, "part", string(part)))
	}
	if len(marks) > reviewsPerPage {
		marks = marks[:reviewsPerPage]
		v.Pager.Next = templates.Local(query(path, "part", string(part), "before", strconv.FormatInt(marks[reviewsPerPage-1].Seq, 10)))
	}
	v.PageFirst, v.PageLast = strconv.FormatInt(marks[len(marks)-1].Seq, 10), strconv.FormatInt(marks[0].Seq, 10)
	v.Pager.Text = "Entries " + number(int(marks[len(marks)-1].Seq)) + " to " + number(int(marks[0].Seq))
	b, err := s.entryBuilder(c)
	if err != nil {
		return err
	}
	for _, m := range marks {
		_, e, err := s.entryOrPlace(ctx, b, m.Seq)
		if err != nil {
			return err
		}
		one := s.markedView(c, r, m, e, picked)
		v.Entries, v.Picks = append(v.Entries, one), v.Picks || one.Pick
	}
	return nil
}

func (s *Server) markedView(c echo.Context, r review.Review, m review.Mark, e templates.EntryView, picked []string) templates.MarkedView {
	seq := strconv.FormatInt(m.Seq, 10)
	v := templates.MarkedView{Seq: seq, Pick: r.Open() && m.Flag == nil, Picked: slices.Contains(picked, seq), Entry: e}
	if m.Looked.Done() {
		v.Mark, v.At, v.Comment = "Looked at by "+m.Looked.By.Name, exact(m.Looked.At), m.Comment
	}
	if m.Flag == nil {
		return v
	}
	f := flagView(*m.Flag, e)
	v.Badge = f.State
	if m.Flag.State == review.Asked {
		v.Badge.Text = "Waits for " + m.Flag.Assignee.Name
	}
	if r.Open() {
		path := flagPath(r.ID, m.Seq)
		f.Comment = templates.InputView{Name: "comment", ID: "settle-" + f.ID, Label: "Comment", Optional: m.Flag.State == review.Answered, Rows: 2}
		f.Text = templates.InputView{Name: "comment", ID: "again-" + f.ID, Label: "What is still open", Rows: 2, Required: true}
		f.To = templates.SelectView{Name: "to", ID: "to-" + f.ID, Label: "Who is to answer"}
		if judge := !m.Flag.AnsweredFor(reader(c).ID); judge {
			f.Again = s.newForm(c, path+"/ask")
			if m.Flag.State != review.Accepted {
				f.Accept = s.newForm(c, path+"/accept")
			}
		}
	}
	v.Flag = &f
	return v
}

// reviewForms fills in what an auditor can do about the entries.
func (s *Server) reviewForms(c echo.Context, v *templates.AuditReviewView, r review.Review, p review.Progress, typed reviewTyped, complaint error) error {
	in := typed.mark
	people, err := s.peopleOptions(c, in.To)
	if err != nil {
		return err
	}
	wrong, path := fieldComplaints(complaint), reviewPath(r.ID)+"/mark"
	if in.Do == "" {
		wrong = nil
	}
	v.Mark = s.newForm(c, path)
	v.Comment = templates.InputView{Name: "comment", Label: "Comment", Value: in.Comment, Complaint: wrong["comment"], Complete: "off"}
	v.To = templates.SelectView{Name: "to", Label: "Who is to answer a flag", Options: people, Complaint: wrong["to"]}
	for i := range v.Entries {
		if f := v.Entries[i].Flag; f != nil {
			f.To.Options = slices.Clone(people)
			for j := range f.To.Options {
				f.To.Options[j].Selected = f.To.Options[j].Text == f.Assignee
			}
			if v.Entries[i].Seq == typed.seq {
				typed.into(f, fieldComplaints(complaint))
			}
		}
	}
	left := p.Entries - p.Looked
	if left == 0 || v.Part != string(store.ReviewLeft) {
		return nil
	}
	v.MarkPage, v.PageText = s.newForm(c, path), "Mark these "+number(len(v.Entries))+" as looked at"
	if left > len(v.Entries) {
		v.AllLeft, v.AllText, v.AllLast = s.newForm(c, path), "Mark all "+number(left)+" that are left", strconv.FormatInt(r.Scope.UpTo, 10)
	}
	return nil
}

// into fills the forms of a flag with what was typed, and what is wrong with it.
func (t reviewTyped) into(f *templates.FlagView, wrong map[string]string) {
	if !t.again {
		f.Comment.Value, f.Comment.Complaint = t.flag.Comment, wrong["comment"]
		return
	}
	f.Text.Value, f.Text.Complaint, f.To.Complaint = t.flag.Comment, wrong["comment"], wrong["to"]
	for i := range f.To.Options {
		f.To.Options[i].Selected = f.To.Options[i].Value == t.flag.To
	}
}

// peopleOptions are those who can be asked.
func (s *Server) peopleOptions(c echo.Context, chosen string) ([]templates.OptionView, error) {
	people, err := s.store.Users(c.Request().Context())
	options := []templates.OptionView{{Text: "Choose a person"}}
	for _, u := range people {
		if u.State == access.Active {
			options = append(options, templates.OptionView{Value: u.ID, Text: u.Name, Selected: u.ID == chosen})
		}
	}
	return options, err
}

// closeForm offers to close the review, or says what stands in the way.
func (s *Server) closeForm(c echo.Context, v *templates.AuditReviewView, r review.Review, p review.Progress, typed string, complaint error) error {
	sheet, err := s.store.ReviewSheet(c.Request().Context(), r.ID)
	if err != nil {
		return err
	}
	if v.CloseNote = inTheWay(r.MayClose(reader(c), sheet)); v.CloseNote.Text != "" {
		return nil
	}
	v.Close = s.newForm(c, reviewPath(r.ID)+"/close")
	v.CloseText = templates.InputView{Name: "conclusion", Label: "Conclusion", Rows: 4, Required: true, Hint: "It stands in the report. Nothing in the review changes any more.", Complaint: fieldComplaints(complaint)["conclusion"]}
	if v.CloseText.Complaint != "" {
		v.CloseText.Value = typed
	}
	if left := p.Entries - p.Looked; left > 0 {
		v.CloseNote = templates.NoticeView{Tone: "warn", Text: plural(left, "entry has", "entries have") + " not been looked at. The report will say so."}
	}
	return nil
}
