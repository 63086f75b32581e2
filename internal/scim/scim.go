// Package scim lets directories keep people and groups here in step: SCIM 2.0
// (RFC 7643, RFC 7644) over the services of package access. It reads and writes
// the protocol; what may happen is for access to say.
package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
)

// Options are what a service is made of.
type Options struct {
	Access    *access.Service
	PublicURL string
	Issuer    func(directory string) string // whose subjects the external ids of a directory are; may be empty
	Recheck   func()                        // called when somebody may less than before
	Allow     func(what string, every time.Duration, burst int) bool
	Log       *slog.Logger
}

// A Service answers directories. It is safe for concurrent use.
type Service struct{ Options }

// New returns a service.
func New(o Options) *Service { return &Service{o} }

// Path is where everything of SCIM is.
const Path = "/scim/v2"

// How often a directory may ask.
const (
	askEvery = 20 * time.Millisecond
	askBurst = 500
)

const (
	mediaType   = "application/scim+json"
	errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"
	listSchema  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"
)

// A refusal is a problem with what else SCIM tells of one.
type refusal struct {
	status int
	kind   string // scimType
	words  *problem.Error
}

func (r *refusal) Error() string { return r.words.Error() }
func (r *refusal) Unwrap() error { return r.words }

// invalid is a request that can't be understood (RFC 7644, table 9).
func invalid(kind, format string, args ...any) error {
	return &refusal{http.StatusBadRequest, kind, problem.New(problem.Invalid, format, args...)}
}

const keyClient = "client" // access.Client that asks

func client(c echo.Context) access.Client {
	one, _ := c.Get(keyClient).(access.Client) // Guard put it there
	return one
}

// Guard lets through who has the token of a client. Cookies count for nothing.
func (s *Service) Guard(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.recognize(c); err != nil {
			return err
		}
		return next(c)
	}
}

func (s *Service) recognize(c echo.Context) error {
	kind, token, _ := strings.Cut(c.Request().Header.Get(echo.HeaderAuthorization), " ")
	if !strings.EqualFold(kind, "Bearer") || len(c.Request().Header.Values(echo.HeaderAuthorization)) > 1 {
		return problem.New(problem.SignIn, "Send the token that an admin made for this directory: Authorization: Bearer ghs_…")
	}
	agent := c.Request().UserAgent()
	if len(agent) > 200 {
		agent = agent[:200]
	}
	one, err := s.Access.UseClient(c.Request().Context(), strings.TrimSpace(token), access.Origin{IP: c.RealIP(), Agent: strings.ToValidUTF8(agent, "")})
	if err != nil {
		return err
	}
	if !s.Allow("scim "+one.ID, askEvery, askBurst) {
		p := problem.New(problem.TooMany, "That is a lot at once. Nothing was changed this time. Wait a moment and try again.")
		p.RetryAfter = time.Second
		return p
	}
	c.Set(keyClient, one)
	return nil
}

// statuses and kinds are what problems are in SCIM.
var statuses = map[problem.Kind]int{
	problem.Invalid: http.StatusBadRequest, problem.SignIn: http.StatusUnauthorized, problem.Forbidden: http.StatusForbidden, problem.NotFound: http.StatusNotFound,
	problem.Gone: http.StatusGone, problem.Conflict: http.StatusConflict, problem.TooMany: http.StatusTooManyRequests, problem.Unavailable: http.StatusServiceUnavailable,
}

var kinds = map[problem.Kind]string{problem.Invalid: "invalidValue", problem.Conflict: "uniqueness"}

// Refuse answers an error in the form of SCIM.
func (s *Service) Refuse(c echo.Context, err error) error {
	p := problem.Of(err)
	var r *refusal
	var he *echo.HTTPError
	switch {
	case errors.As(err, &r):
	case errors.Is(err, access.ErrLastManager):
		r = &refusal{http.StatusConflict, "", access.ErrLastManager}
	case errors.As(err, &he):
		r = &refusal{he.Code, "", problem.New(problem.Invalid, "This address doesn't take such a request: %s.", strings.ToLower(http.StatusText(he.Code)))}
	case p != nil:
		r = &refusal{statuses[p.Kind], kinds[p.Kind], p}
	default:
		s.Log.Error("request failed", "request", c.Response().Header().Get("X-Request-Id"), "method", c.Request().Method, "route", c.Path(), "err", err)
		r = &refusal{http.StatusInternalServerError, "", problem.New(problem.Unavailable, "Something went wrong on our side. Try again; if it stays so, tell the operator the request id.")}
	}
	h := c.Response().Header()
	if r.status == http.StatusUnauthorized {
		h.Set(echo.HeaderWWWAuthenticate, `Bearer realm="Gatehouse SCIM"`)
	}
	if r.words.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.words.RetryAfter.Seconds()))))
	}
	answer := object{"schemas": []string{errorSchema}, "status": strconv.Itoa(r.status), "detail": r.words.Message}
	if r.kind != "" {
		answer["scimType"] = r.kind
	}
	return send(c, r.status, answer)
}

func send(c echo.Context, status int, v object) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.Blob(status, mediaType, b)
}

// body reads the object that was sent.
func body(c echo.Context) (object, error) {
	kind, _, _ := strings.Cut(c.Request().Header.Get(echo.HeaderContentType), ";")
	if kind = strings.ToLower(strings.TrimSpace(kind)); kind != mediaType && kind != echo.MIMEApplicationJSON {
		return nil, &refusal{http.StatusUnsupportedMediaType, "", problem.New(problem.Invalid, "Send application/scim+json.")}
	}
	return readObject(c.Request().Body)
}

// Pages of lists.
const (
	usualPage = 100
	mostPage  = 200
)

// list answers with those resources that the request asks for.
func list(c echo.Context, all []object) error {
	keep, m := func(object, *meter) bool { return true }, &meter{mostSteps}
	if text := c.QueryParam("filter"); text != "" {
		f, err := parseFilter(text)
		if err != nil {
			return err
		}
		keep = f
	}
	start, err := number(c, "startIndex", 1)
	if err != nil {
		return err
	}
	count, err := number(c, "count", usualPage)
	if err != nil {
		return err
	}
	start, count = max(start, 1), min(max(count, 0), mostPage)
	found, shown := 0, []object{}
	for _, o := range all {
		if !keep(o, m) {
			continue
		}
		if found++; found >= start && len(shown) < count {
			shown = append(shown, chosen(c, o))
		}
	}
	if err := m.tooMuch(); err != nil {
		return err
	}
	return send(c, http.StatusOK, object{"schemas": []string{listSchema}, "totalResults": found, "startIndex": start, "itemsPerPage": len(shown), "Resources": shown})
}

func number(c echo.Context, name string, absent int) (int, error) {
	text := c.QueryParam(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, invalid("invalidValue", "%s should be a number.", name)
	}
	return n, nil
}

// chosen is a resource with the attributes that the request asks for.
func chosen(c echo.Context, o object) object {
	always := func(name string) bool { return name == "id" || name == "schemas" }
	named := func(param string) map[string]bool {
		names := map[string]bool{}
		for name := range strings.SplitSeq(c.QueryParam(param), ",") {
			head, _, _ := strings.Cut(bare(strings.TrimSpace(name)), ".")
			if head != "" {
				names[strings.ToLower(head)] = true
			}
		}
		return names
	}
	only, but := named("attributes"), named("excludedAttributes")
	out := object{}
	for name, v := range o {
		asked := len(only) == 0 || only[strings.ToLower(name)]
		if always(name) || asked && !but[strings.ToLower(name)] {
			out[name] = v
		}
	}
	return out
}

// meta is what SCIM says of every resource.
func (s *Service) meta(kind, id string, added, updated time.Time) object {
	m := object{"resourceType": kind, "location": s.location(kind, id)}
	if !added.IsZero() {
		m["created"], m["lastModified"] = added.Format(time.RFC3339), updated.Format(time.RFC3339)
	}
	return m
}

func (s *Service) location(kind, id string) string {
	return fmt.Sprintf("%s%s/%ss/%s", strings.TrimRight(s.PublicURL, "/"), Path, kind, id)
}

// issuer is where the external ids of a client's people are subjects.
func (s *Service) issuer(c echo.Context) string { return s.Issuer(client(c).Directory) }
