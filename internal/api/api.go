// Package api is the JSON API under /api/v1: what programs read and propose for
// the people whose tokens they hold, over the same services and with the same
// permissions as the pages. It knows bearer tokens and no cookies.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// Options are what the API is made of.
type Options struct {
	Store     *store.Store
	Mirror    *mirror.Service
	Changes   *change.Service
	Access    *access.Service
	Keys      *secret.Keyring
	PublicURL string // of the console
	Now       func() time.Time

	// Allow reports whether something may happen again, at that pace.
	Allow func(what string, every time.Duration, burst int) bool
	// Search runs a search of history within what one may cost somebody.
	Search func(ctx context.Context, who access.Reader, look func(context.Context) error) error
	// Read records that somebody reads a page of history.
	Read func(ctx context.Context, who access.Reader, path, text string) error
}

// A Service answers requests to the API.
type Service struct{ o Options }

// New returns a service.
func New(o Options) *Service { return &Service{o} }

// Paces of one token.
const (
	readEvery = 100 * time.Millisecond
	readBurst = 200

	writeEvery = time.Second
	writeBurst = 30
)

const keyReader = "api reader"

// Guard lets through who brings a token with the permission in the Authorization
// header; an empty one means any token.
func (s *Service) Guard(needs access.Permission, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		token, err := bearer(c.Request())
		if err != nil {
			challenge(c, "")
			return err
		}
		ctx := c.Request().Context()
		who, err := s.o.Access.UseToken(ctx, token, origin(c))
		if problem.Is(err, problem.SignIn) {
			challenge(c, "invalid_token")
		}
		if err != nil {
			return err
		}
		if err := s.paced(c, who); err != nil {
			return err
		}
		if needs != "" && !who.May(needs) {
			return problem.New(problem.Forbidden, "This token may not do this: either it wasn't given the right, or its owner doesn't have it (%s).", needs)
		}
		c.Set(keyReader, who)
		return next(c)
	}
}

// bearer is the token of a request. The scheme may be written in any case
// (RFC 9110).
func bearer(r *http.Request) (string, error) {
	all := r.Header.Values("Authorization")
	if len(all) != 1 {
		return "", problem.New(problem.SignIn, "Send an API token in one header, Authorization: Bearer gh_…. Tokens in addresses and cookies are not taken.")
	}
	scheme, token, _ := strings.Cut(all[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", problem.New(problem.SignIn, "Send the API token as Authorization: Bearer gh_….")
	}
	return strings.TrimSpace(token), nil
}

// challenge says how to come back (RFC 6750).
func challenge(c echo.Context, why string) {
	value := `Bearer realm="Gatehouse"`
	if why != "" {
		value += `, error="` + why + `"`
	}
	c.Response().Header().Set(echo.HeaderWWWAuthenticate, value)
}

func (s *Service) paced(c echo.Context, who access.Reader) error {
	kind, every, burst := "api ", readEvery, readBurst
	if c.Request().Method == http.MethodPost {
		kind, every, burst = "api write ", writeEvery, writeBurst
	}
	if s.o.Allow(kind+who.Token, every, burst) {
		return nil
	}
	p := problem.New(problem.TooMany, "That is a lot at once for one token. Nothing was changed. Wait and send it again.")
	p.RetryAfter = every
	return p
}

const maxAgent = 200 // bytes

func origin(c echo.Context) access.Origin {
	agent := c.Request().UserAgent()
	return access.Origin{IP: c.RealIP(), Agent: agent[:min(len(agent), maxAgent)]}
}

func reader(c echo.Context) access.Reader {
	who, _ := c.Get(keyReader).(access.Reader)
	return who
}

// answer sends v. What was revoked while it was put together isn't answered.
func (s *Service) answer(c echo.Context, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := s.o.Access.StillGood(c.Request().Context(), reader(c)); err != nil {
		challenge(c, "invalid_token")
		return err
	}
	return c.Blob(status, echo.MIMEApplicationJSON, append(body, '\n'))
}

// params are the parameters of an address: of these names, each at most once.
func params(c echo.Context, names ...string) (url.Values, error) {
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest, "The address has parameters that can't be read.")
	}
	for name, all := range values {
		if !slices.Contains(names, name) {
			return nil, echo.NewHTTPError(http.StatusBadRequest, "There is no parameter of that name here. There are: "+strings.Join(append(names, "no others"), ", ")+".")
		}
		if len(all) > 1 {
			return nil, echo.NewHTTPError(http.StatusBadRequest, "The parameter "+name+" came more than once.")
		}
	}
	return values, nil
}

// Limits on pages.
const (
	usualLimit = 50
	mostLimit  = 200
)

func limit(q url.Values) (int, error) {
	if !q.Has("limit") {
		return usualLimit, nil
	}
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n < 1 || n > mostLimit {
		return 0, invalid("limit", "Give a whole number from 1 to 200.")
	}
	return n, nil
}

func invalid(field, complaint string) error {
	return problem.InvalidFields("Nothing was changed. Correct what is named and send it again.", map[string]string{field: complaint})
}

// whole reads a number that isn't negative, 0 if it isn't given.
func whole(q url.Values, name string) (int64, error) {
	if !q.Has(name) {
		return 0, nil
	}
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0, invalid(name, "Give a whole number.")
	}
	return n, nil
}

// A list is one page of something. Next is the cursor of the next page.
type list[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

func listOf[T any](items []T, next string) list[T] {
	l := list[T]{Items: items}
	if items == nil {
		l.Items = []T{}
	}
	if next != "" {
		l.Next = &next
	}
	return l
}

// Problem writes an error as RFC 9457 has it.
func Problem(c echo.Context, status int, p *problem.Error) error {
	type complaint struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	}
	v := struct {
		Type    string      `json:"type"`
		Title   string      `json:"title"`
		Status  int         `json:"status"`
		Detail  string      `json:"detail"`
		Request string      `json:"request_id"`
		Errors  []complaint `json:"errors,omitempty"`
	}{"about:blank", http.StatusText(status), status, p.Message, c.Response().Header().Get(echo.HeaderXRequestID), nil}
	for field, detail := range p.Fields {
		v.Errors = append(v.Errors, complaint{field, detail})
	}
	slices.SortFunc(v.Errors, func(a, b complaint) int { return strings.Compare(a.Field, b.Field) })
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.Blob(status, "application/problem+json", append(body, '\n'))
}

// Words are what is said of an error that the pages would word for people with a
// browser, or nil.
func Words(err error) *problem.Error {
	var he *echo.HTTPError
	if !errors.As(err, &he) {
		return nil
	}
	if text, ok := he.Message.(string); ok && text != http.StatusText(he.Code) {
		return problem.New(problem.Invalid, "%s", text)
	}
	switch he.Code {
	case http.StatusNotFound:
		return problem.New(problem.NotFound, "There is nothing at this address.")
	case http.StatusMethodNotAllowed:
		return problem.New(problem.NotFound, "This address doesn't take such a request.")
	}
	return nil
}
