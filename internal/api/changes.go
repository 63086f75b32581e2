package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	ql "gatehouse/internal/query"
)

// A line is what lists show of a change request.
type line struct {
	ID        string    `json:"id"`
	Project   *string   `json:"project"`
	Title     string    `json:"title"`
	State     string    `json:"state"`
	Author    person    `json:"author"`
	Approvals approvals `json:"approvals"`
	CreatedAt *string   `json:"created_at"`
	URL       string    `json:"url"`
}

type approvals struct {
	Have int `json:"have"`
	Need int `json:"need"`
}

func (s *Service) line(l change.Line, slugs map[string]string) line {
	return line{
		ID: l.ID, Project: slug(slugs, l.Project), Title: l.Title, State: string(l.State), Author: person(l.Author),
		Approvals: approvals{l.Approvals.Have, l.Approvals.Need}, CreatedAt: moment(l.CreatedAt), URL: s.o.PublicURL + "/changes/" + l.ID,
	}
}

// A request is a change request. Of credentials it has the names.
type request struct {
	line
	Reason     string  `json:"reason"`
	Note       string  `json:"note"`
	Revision   int     `json:"revision"`
	Items      []item  `json:"items"`
	UpdatedAt  *string `json:"updated_at"`
	ExpiresAt  *string `json:"expires_at"`
	ApplyAfter *string `json:"apply_after"`
	EndedAt    *string `json:"ended_at"`
}

type item struct {
	Kind        string        `json:"kind"`
	Operation   string        `json:"operation"`
	Target      *string       `json:"target"`
	Name        string        `json:"name"`
	Toolkit     string        `json:"toolkit"`
	Scheme      string        `json:"scheme"`
	Managed     bool          `json:"managed"`
	Base        mirror.Values `json:"base"`
	Set         mirror.Values `json:"set"`
	Credentials []string      `json:"credentials"`
	State       string        `json:"state"`
	Note        string        `json:"note"`
}

func (s *Service) request(r change.Request, slugs map[string]string) request {
	v := request{
		line: s.line(r.Line(), slugs), Reason: r.Reason, Note: r.Note, Revision: r.Revision.Number, Items: []item{},
		UpdatedAt: moment(r.UpdatedAt), ExpiresAt: moment(r.ExpiresAt), ApplyAfter: moment(r.ApplyAfter), EndedAt: moment(r.EndedAt),
	}
	for i, it := range r.Revision.Items {
		one := item{
			Kind: string(it.Kind), Operation: string(it.Operation), Name: it.Name, Toolkit: it.Toolkit, Scheme: it.Scheme, Managed: it.Managed,
			Base: filled(it.Base), Set: filled(it.Set), Credentials: []string{},
		}
		if i < len(r.Progress) {
			p := r.Progress[i]
			one.State, one.Note = string(p.State), p.Note
			if p.Target != "" {
				one.Target = &p.Target
			}
		}
		for _, cr := range it.Credentials {
			one.Credentials = append(one.Credentials, cr.Field)
		}
		v.Items = append(v.Items, one)
	}
	return v
}

// filled are values without null.
func filled(v mirror.Values) mirror.Values {
	out := mirror.Values{}
	for name, value := range v {
		out[name] = append([]string{}, value...)
	}
	return out
}

// Changes lists change requests, the newest first.
func (s *Service) Changes(c echo.Context) error {
	p, err := params(c, "q", "limit", "cursor")
	if err != nil {
		return err
	}
	n, err := limit(p)
	if err != nil {
		return err
	}
	before, err := whole(p, "cursor")
	if err != nil {
		return err
	}
	q, err := ql.Requests.Parse(p.Get("q"))
	if err != nil {
		return invalid("q", err.Error())
	}
	ctx := c.Request().Context()
	slugs, err := s.slugs(ctx)
	if err != nil {
		return err
	}
	found, err := s.o.Store.FindRequests(ctx, q, reader(c).User, before, n+1)
	if err != nil {
		return err
	}
	var items []line
	next := ""
	if len(found) > n {
		found = found[:n]
		next = itoa(found[n-1].CreatedAt.UnixMicro())
	}
	for _, l := range found {
		items = append(items, s.line(l, slugs))
	}
	return s.answer(c, http.StatusOK, listOf(items, next))
}

// Change answers one change request.
func (s *Service) Change(c echo.Context) error {
	if _, err := params(c); err != nil {
		return err
	}
	r, slugs, err := s.findRequest(c, c.Param("id"))
	if err != nil {
		return err
	}
	return s.answer(c, http.StatusOK, s.request(r, slugs))
}

// findRequest returns a change request that the reader may see.
func (s *Service) findRequest(c echo.Context, id string) (change.Request, map[string]string, error) {
	slugs, err := s.slugs(c.Request().Context())
	if err != nil {
		return change.Request{}, nil, err
	}
	r, err := s.o.Store.Request(c.Request().Context(), id)
	if problem.Is(err, problem.NotFound) || err == nil && !r.ReadBy(reader(c).User) {
		err = problem.New(problem.NotFound, "There is no such change request, or this token may not see it.")
	}
	return r, slugs, err
}
