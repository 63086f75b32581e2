package app

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	ql "gatehouse/internal/query"
	"gatehouse/internal/review"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

const reviewsPerPage = 50 // entries

var reviewCrumbs = []templates.LinkView{{Text: "History", URL: "/history"}, {Text: "Reviews", URL: reviewsPath}}

// reviews lists what is asked of the reader, and to auditors all reviews.
func (s *Server) reviews(c echo.Context) error {
	return s.reviewsPage(c, "", "", nil)
}

// reviewsPage shows the list, or an answer to a flag again, with what was typed.
func (s *Server) reviewsPage(c echo.Context, flag, typed string, complaint error) error {
	frame, err := s.frame(c, place{title: "Reviews", nav: "History", crumbs: reviewCrumbs[:1]})
	if err != nil {
		return err
	}
	ctx, who := c.Request().Context(), reader(c)
	v := templates.ReviewsView{Page: frame}
	asked, err := s.store.FlagsAskedOf(ctx, who.ID)
	if err != nil {
		return err
	}
	if v.Asked, err = s.flagViews(c, asked); err != nil {
		return err
	}
	for i, f := range asked {
		id := v.Asked[i].ID
		v.Asked[i].Answer = s.newForm(c, flagPath(f.Review, f.Seq)+"/answer")
		v.Asked[i].Text = templates.InputView{Name: "answer", ID: "answer-" + id, Label: "Your answer", Rows: 3, Required: true}
		if id == flag {
			v.Asked[i].Text.Value, v.Asked[i].Text.Complaint = typed, fieldComplaints(complaint)["answer"]
		}
	}
	if who.May(access.ReviewHistory) {
		v.New = reviewsPath + "/new"
		if v.Rows, err = s.reviewRows(ctx); err != nil {
			return err
		}
	}
	v.Empty = emptyReviews(v)
	if complaint != nil {
		return again(c, templates.Reviews(v))
	}
	return page(c, templates.Reviews(v))
}

func (s *Server) reviewRows(ctx context.Context) ([]templates.ReviewRowView, error) {
	all, err := s.store.Reviews(ctx)
	if err != nil {
		return nil, err
	}
	var rows []templates.ReviewRowView
	for _, r := range all {
		p, err := s.store.ReviewProgress(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		rows = append(rows, reviewRow(r, p))
	}
	return rows, nil
}

// reviewForm is what is typed to open a review.
type reviewForm struct {
	Name  string `form:"name"`
	Query string `form:"q"`
	From  string `form:"from"`
	To    string `form:"to"`
}

// reviewNew shows the form that opens a review, filled from a search.
func (s *Server) reviewNew(c echo.Context) error {
	in := reviewForm{Query: c.QueryParam("q"), From: c.QueryParam("from"), To: c.QueryParam("to")}
	if typed := s.typed(c); typed != nil {
		in = reviewForm{}
		if err := decodeValues(typed, &in); err != nil {
			return err
		}
	}
	return s.reviewFormPage(c, in, nil)
}

func (s *Server) reviewFormPage(c echo.Context, in reviewForm, complaint error) error {
	frame, err := s.frame(c, place{title: "New review", nav: "History", crumbs: reviewCrumbs, narrow: true})
	if err != nil {
		return err
	}
	v := reviewFormView(in, fieldComplaints(complaint))
	v.Page, v.Form, v.Complaints = frame, s.newForm(c, reviewsPath), complaintsView(complaint, openingLabels)
	if complaint != nil {
		return again(c, templates.ReviewForm(v))
	}
	return page(c, templates.ReviewForm(v))
}

// reviewOpen opens a review of what a search finds now.
func (s *Server) reviewOpen(c echo.Context) error {
	var in reviewForm
	if err := decode(c, &in); err != nil {
		return err
	}
	o, err := in.opening()
	if problem.Is(err, problem.Invalid) {
		return s.reviewFormPage(c, in, err)
	}
	if err != nil {
		return err
	}
	scope, err := s.reviewScope(c.Request().Context(), o)
	if problem.Is(err, problem.Invalid) {
		return s.reviewFormPage(c, in, err)
	}
	if err != nil {
		return err
	}
	r, err := s.reviewer.Open(c.Request().Context(), reader(c), o, scope)
	if problem.Is(err, problem.Invalid) {
		return s.reviewFormPage(c, in, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, reviewPath(r.ID), "Review opened: "+plural(r.Entries, "entry", "entries")+".")
}

// opening reads the form; the last day is part of the period.
func (in reviewForm) opening() (review.Opening, error) {
	o := review.Opening{Name: in.Name, Query: strings.TrimSpace(in.Query)}
	wrong := map[string]string{}
	for _, d := range []struct {
		name, text string
		to         *time.Time
	}{{"from", in.From, &o.From}, {"to", in.To, &o.To}} {
		if d.text == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, d.text)
		if err != nil || t.Year() < 2000 || t.Year() > 9000 {
			wrong[d.name] = "Enter a date, such as 2026-03-31."
		}
		*d.to = t
	}
	if !o.To.IsZero() {
		o.To = o.To.AddDate(0, 0, 1)
	}
	if len(wrong) > 0 {
		return o, problem.InvalidFields("No review was opened. Correct what is marked and send again.", wrong)
	}
	return o, nil
}

// reviewScope collects what a review is about. It stops when there is too much.
func (s *Server) reviewScope(ctx context.Context, o review.Opening) (review.Scope, error) {
	head, err := s.store.Searchable(ctx)
	if err != nil {
		return review.Scope{}, err
	}
	where, err := ql.Parse(o.Query)
	if err != nil {
		return review.Scope{}, wrongSearch(o.Query, err)
	}
	scope, sum := review.Scope{UpTo: head.Seq}, review.NewSetHash()
	err = s.store.HistoryWhole(ctx, store.HistoryQuery{Where: where, From: o.From, To: o.To}, head.Seq, func(found []audit.Entry) error {
		if len(scope.Seqs) > review.MaxEntries {
			return errEnough
		}
		seqs := make([]int64, len(found))
		for i, e := range found {
			seqs[i] = e.Seq
		}
		rows, err := s.store.HistoryRowsOf(ctx, seqs)
		for _, r := range rows {
			scope.Seqs = append(scope.Seqs, r.Seq)
			sum.Add(r.Seq, r.Hash)
		}
		return err
	})
	if errors.Is(err, errEnough) {
		err = nil // the review refuses it
	}
	scope.Set = sum.String()
	return scope, err
}

// errEnough ends reading.
var errEnough = errors.New("enough")

// wrongSearch says what is wrong with a search, and where.
func wrongSearch(text string, err error) error {
	complaint := err.Error()
	var at *ql.Error
	if errors.As(err, &at) && at.At+at.Len <= len(text) && at.Len > 0 {
		complaint += " See “" + text[at.At:at.At+at.Len] + "”."
	}
	return problem.InvalidFields("No review was opened. Correct what is marked and send again.", map[string]string{"q": complaint})
}

// reviewMarkForm is what is done to entries of a review.
type reviewMarkForm struct {
	IDs     []string `form:"id"`
	Do      string   `form:"do"`
	Part    string   `form:"part"`
	Comment string   `form:"comment"`
	To      string   `form:"to"`
	First   string   `form:"first"`
	Last    string   `form:"last"`
}

// review shows one review.
func (s *Server) review(c echo.Context) error {
	return s.reviewPage(c, reviewTyped{mark: reviewMarkForm{Part: c.QueryParam("part")}}, nil)
}

// selection are the entries that a form is about.
func (in reviewMarkForm) selection() (review.Selection, error) {
	which := review.Selection{}
	if in.Do == "range" {
		var err1, err2 error
		which.From, err1 = strconv.ParseInt(in.First, 10, 64)
		which.To, err2 = strconv.ParseInt(in.Last, 10, 64)
		if err1 != nil || err2 != nil {
			return which, malformed("it doesn't say which entries")
		}
		return which, nil
	}
	for _, id := range in.IDs {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || len(which.Seqs) >= reviewsPerPage {
			return which, malformed("it doesn't say which entries")
		}
		which.Seqs = append(which.Seqs, n)
	}
	if which.Seqs == nil {
		return which, problem.InvalidFields("Nothing was changed. Select entries first.", nil)
	}
	return which, nil
}

// reviewMark marks, unmarks or flags entries.
func (s *Server) reviewMark(c echo.Context) error {
	var in reviewMarkForm
	if err := decode(c, &in); err != nil {
		return err
	}
	done, err := s.mark(c, in)
	if problem.Is(err, problem.Invalid) {
		return s.reviewPage(c, reviewTyped{mark: in}, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, query(reviewPath(c.Param("id")), "part", in.Part), done)
}

func (s *Server) mark(c echo.Context, in reviewMarkForm) (done string, err error) {
	ctx, who, id := c.Request().Context(), reader(c), c.Param("id")
	which, err := in.selection()
	if err != nil {
		return "", err
	}
	var n int
	switch in.Do {
	case "look", "range":
		n, err = s.reviewer.Look(ctx, who, id, which, in.Comment)
		done = " marked as looked at."
	case "unlook":
		n, err = s.reviewer.Unlook(ctx, who, id, which)
		done = " no longer marked."
	case "flag":
		n, err = s.reviewer.Flag(ctx, who, id, review.Question{Seqs: which.Seqs, Comment: in.Comment, To: in.To})
		done = " flagged."
	default:
		return "", malformed("it doesn't say what to do")
	}
	return plural(n, "entry", "entries") + done, err
}

// flagForm is what is said about a flag.
type flagForm struct {
	Answer  string `form:"answer"`
	Comment string `form:"comment"`
	To      string `form:"to"`
}

// onFlag reads a form about a flag and does something with it.
func (s *Server) onFlag(c echo.Context, do func(ctx context.Context, seq int64, in flagForm) error) (flagForm, error) {
	var in flagForm
	if err := decode(c, &in); err != nil {
		return in, err
	}
	seq, err := strconv.ParseInt(c.Param("seq"), 10, 64)
	if err != nil {
		return in, problem.New(problem.NotFound, "There is no such flag.")
	}
	return in, do(c.Request().Context(), seq, in)
}

// flagAnswer takes an answer from the person who was asked.
func (s *Server) flagAnswer(c echo.Context) error {
	in, err := s.onFlag(c, func(ctx context.Context, seq int64, in flagForm) error {
		return s.reviewer.Answer(ctx, reader(c), c.Param("id"), seq, in.Answer)
	})
	if problem.Is(err, problem.Invalid) {
		return s.reviewsPage(c, flagID(c.Param("id"), c.Param("seq")), in.Answer, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, reviewsPath, "Answered.")
}

// flagAgain asks again.
func (s *Server) flagAgain(c echo.Context) error {
	in, err := s.onFlag(c, func(ctx context.Context, seq int64, in flagForm) error {
		return s.reviewer.AskAgain(ctx, reader(c), c.Param("id"), seq, in.To, in.Comment)
	})
	return s.flagged(c, reviewTyped{flag: in, again: true}, "Asked again.", err)
}

// flagAccept settles a flag.
func (s *Server) flagAccept(c echo.Context) error {
	in, err := s.onFlag(c, func(ctx context.Context, seq int64, in flagForm) error {
		return s.reviewer.Accept(ctx, reader(c), c.Param("id"), seq, in.Comment)
	})
	return s.flagged(c, reviewTyped{flag: in}, "Settled.", err)
}

// flagged answers what an auditor did about a flag.
func (s *Server) flagged(c echo.Context, typed reviewTyped, done string, err error) error {
	part := string(store.ReviewFlagged)
	if problem.Is(err, problem.Invalid) {
		typed.mark.Part, typed.seq = part, c.Param("seq")
		return s.reviewPage(c, typed, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, query(reviewPath(c.Param("id")), "part", part), done)
}

// reviewClose closes a review.
func (s *Server) reviewClose(c echo.Context) error {
	var in struct {
		Conclusion string `form:"conclusion"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	err := s.reviewer.Close(c.Request().Context(), reader(c), c.Param("id"), in.Conclusion)
	if problem.Is(err, problem.Invalid) {
		return s.reviewPage(c, reviewTyped{conclusion: in.Conclusion}, err)
	}
	if err != nil {
		return err
	}
	s.signNow(c)
	return s.see(c, reviewPath(c.Param("id"))+"/report", "The review is closed.")
}
