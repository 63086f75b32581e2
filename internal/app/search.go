package app

import (
	"errors"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/problem"
	ql "gatehouse/internal/query"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

const historyPath = "/history"

// asked is what a reader searches history for: the text, what other parameters
// of the address add to it, and days, both of which are part of the span.
type asked struct {
	text     string
	query    ql.Query
	from, to string
	wrong    *ql.Error
	history  store.HistoryQuery
}

// ask reads a search of history from the address.
func (s *Server) ask(c echo.Context) (asked, error) {
	a := asked{text: c.QueryParam("q"), from: c.QueryParam("from"), to: c.QueryParam("to")}
	var err error
	if a.query, err = ql.Parse(a.text); err != nil {
		errors.As(err, &a.wrong) // it always is one
	}
	for _, key := range []string{"project", "actor", "action"} {
		if value := c.QueryParam(key); value != "" && len(value) <= 200 {
			a.query = a.query.With(ql.Term{Key: key, Value: value})
		}
	}
	a.history, err = s.readable(c, store.HistoryQuery{Where: a.query, Before: beforeParam(c), Limit: historyPerPage + 1})
	a.days()
	if a.history.Public && a.wrong == nil {
		a.wrong = store.AddressAsked(a.query)
	}
	return a, err
}

// days reads the two dates.
func (a *asked) days() {
	var err, err2 error
	a.history.From, err = dayOf(a.from)
	a.history.To, err2 = dayOf(a.to)
	if !a.history.To.IsZero() {
		a.history.To = a.history.To.AddDate(0, 0, 1) // the last day is part of it
	}
	switch {
	case a.wrong != nil:
	case errors.As(err, &a.wrong), errors.As(err2, &a.wrong):
	case !a.history.From.IsZero() && !a.history.To.IsZero() && !a.history.From.Before(a.history.To):
		a.wrong = &ql.Error{Message: "Nothing can be there: the first day, " + a.from + ", comes after the last, " + a.to + "."}
	}
}

func dayOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return ql.Date(text, time.Now())
}

// active reports whether anything is asked for.
func (a asked) active() bool { return !a.query.Empty() || a.from+a.to != "" || a.wrong != nil }

// problem is what is wrong with the search where there is no page to say it.
func (a asked) problem() error {
	if a.wrong == nil {
		return nil
	}
	return problem.New(problem.Invalid, "%s", a.wrong.Message)
}

// params are the search as parameters of an address.
func (a asked) params() []string {
	return []string{"q", a.query.String(), "from", a.from, "to", a.to}
}

// link is the search with other terms.
func (a asked) link(q ql.Query) templates.URL {
	return templates.Local(query(historyPath, "q", q.String(), "from", a.from, "to", a.to))
}

// within is the search with other days instead of its own.
func (a asked) within(from, to time.Time) templates.URL {
	return templates.Local(query(historyPath, "q", a.query.Drop(ql.After, ql.Before).String(), "from", day(from), "to", day(to)))
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}
