package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// A proposal is the body that proposes a change. Which members it may have depends
// on the operation.
type proposal struct {
	operation change.Operation
	reason    string
	targets   []string
	version   *int64
	spec      change.Spec
	confirm   string
	skip      bool
	revoke    bool
}

const mostTargets = 100

// readProposal reads a proposal strictly.
func readProposal(body []byte) (p proposal, err error) {
	m, err := newMembers(body)
	if err != nil {
		return p, err
	}
	p.operation, p.reason = change.Operation(m.text("operation")), m.text("reason")
	switch p.operation {
	case change.Create:
		p.spec.Toolkit, p.spec.Scheme, p.spec.Managed = strings.ToLower(m.text("toolkit")), m.text("scheme"), m.flag("managed")
		err = p.readSpec(m)
	case change.Update:
		p.readTargets(m, 1)
		if n, ok := m.number("version"); ok {
			p.version = &n
		}
		err = p.readSpec(m)
	case change.Enable, change.Disable:
		p.readTargets(m, mostTargets)
	case change.Delete:
		p.readTargets(m, 1)
		p.confirm, p.skip, p.revoke = m.text("confirm"), m.flag("delete_enabled"), m.flag("revoke_credentials")
	default:
		return p, invalid("operation", "Give create, update, enable, disable or delete.")
	}
	if err != nil {
		return p, err
	}
	return p, m.done()
}

func (p *proposal) readSpec(m *members) error {
	fields, err := m.object("fields")
	if err != nil {
		return err
	}
	credentials, err := m.object("credentials")
	p.spec.Fields, p.spec.Credentials = fields.typed(), credentials.secrets()
	return err
}

func (p *proposal) readTargets(m *members, most int) {
	p.targets = m.texts("targets")
	n := len(p.targets)
	slices.Sort(p.targets)
	p.targets = slices.Compact(p.targets)
	switch {
	case m.complaints["targets"] != "":
	case n == 0 || len(p.targets) > most:
		m.complaints["targets"] = "Give the id of the auth config in a list."
		if most > 1 {
			m.complaints["targets"] = "Give the ids of 1 to 100 auth configs in a list."
		}
	}
}

// idempotencyKey is what a client may choose to tell its requests apart by.
var idempotencyKey = regexp.MustCompile(`^[A-Za-z0-9_.:-]{8,64}$`)

// operation makes a request count once: its key is bound to the token, and to what
// is sent with it.
func (s *Service) operation(c echo.Context, body []byte) (context.Context, store.FormOp, error) {
	all := c.Request().Header.Values("Idempotency-Key")
	if len(all) != 1 || !idempotencyKey.MatchString(strings.Trim(all[0], `"`)) {
		return nil, store.FormOp{}, echo.NewHTTPError(http.StatusBadRequest, "Send a header Idempotency-Key of 8 to 64 letters, digits and _ . : -, another one for each change and the same one when you send a change again. Nothing was changed.")
	}
	who := reader(c)
	op := store.FormOp{
		ID: "api " + who.Token + " " + strings.Trim(all[0], `"`), User: who.User, Token: who.Token,
		Digest: s.o.Keys.Digest(slices.Concat([]byte(c.Request().URL.Path), []byte{0}, body)),
	}
	ctx := c.Request().Context()
	if err := s.o.Store.CheckFormOp(ctx, op); err != nil {
		return nil, op, err
	}
	return store.WithFormOp(ctx, op), op, nil
}

// Propose takes a change request. The policies decide what becomes of it.
func (s *Service) Propose(c echo.Context) error {
	if _, err := params(c); err != nil {
		return err
	}
	project, err := s.project(c)
	if err != nil {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	ctx, _, err := s.operation(c, body)
	var r change.Request
	if err == nil {
		var in proposal
		if in, err = readProposal(body); err == nil {
			r, err = s.propose(ctx, c, project, in)
		}
	}
	var repeated *store.RepeatedError
	if errors.As(err, &repeated) {
		return s.proposedBefore(c, repeated)
	}
	if err != nil {
		return err
	}
	return s.proposed(c, r.ID)
}

// proposed answers with a request as it stands.
func (s *Service) proposed(c echo.Context, id string) error {
	r, slugs, err := s.findRequest(c, id)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/api/v1/changes/"+r.ID)
	err = s.answer(c, http.StatusCreated, s.request(r, slugs))
	if problem.Is(err, problem.SignIn) {
		return problem.New(problem.SignIn, "The change was proposed, as %s, and then this token ended, or what it may do changed.", r.ID)
	}
	return err
}

// proposedBefore answers what was sent before with what it led to.
func (s *Service) proposedBefore(c echo.Context, r *store.RepeatedError) error {
	id, ok := strings.CutPrefix(r.Location, "/changes/")
	if !ok {
		return problem.New(problem.Conflict, "This was sent before and counted. Look among the change requests for what came of it.")
	}
	c.Response().Header().Set("Idempotent-Replayed", "true")
	return s.proposed(c, id)
}

func (s *Service) propose(ctx context.Context, c echo.Context, project mirror.Project, in proposal) (change.Request, error) {
	by := reader(c)
	p := change.Proposal{Project: project.ID, Reason: in.reason}
	configs := make([]mirror.AuthConfig, len(in.targets))
	for i, id := range in.targets {
		a, err := s.config(c, project, id)
		if err != nil {
			return change.Request{}, err
		}
		configs[i] = a
	}
	if in.operation != change.Create {
		p.Impact = s.o.Changes.CountImpact(ctx, project.ID, configs...)
	}
	switch in.operation {
	case change.Create:
		return s.create(ctx, by, p, in)
	case change.Update:
		return s.update(ctx, by, p, configs[0], in)
	case change.Delete:
		r, err := s.o.Changes.ProposeDelete(ctx, by, p, in.targets[0], in.confirm, in.skip, in.revoke)
		return r, renamed(err, map[string]string{"skip_disable": "delete_enabled"}, nil)
	}
	return s.o.Changes.ProposeSwitch(ctx, by, p, in.targets, in.operation == change.Enable)
}

func (s *Service) create(ctx context.Context, by access.Reader, p change.Proposal, in proposal) (change.Request, error) {
	if _, err := s.o.Mirror.Toolkit(ctx, p.Project, in.spec.Toolkit); problem.Is(err, problem.NotFound) {
		return change.Request{}, invalid("toolkit", "Composio has no such toolkit.")
	}
	r, err := s.o.Changes.ProposeCreate(ctx, by, p, in.spec)
	return r, renamed(err, nil, in.spec.Credentials)
}

func (s *Service) update(ctx context.Context, by access.Reader, p change.Proposal, live mirror.AuthConfig, in proposal) (change.Request, error) {
	changed := problem.New(problem.Conflict, "The auth config changed after the version that you give. Nothing was changed. Read it again and look whether the change is still right.")
	var base mirror.Values
	if in.version != nil {
		if live.Seen.Version != *in.version {
			return change.Request{}, changed
		}
		base = live.Values()
	}
	r, err := s.o.Changes.ProposeUpdate(ctx, by, p, live.ID, in.spec, base)
	var conflict *change.Conflict
	if errors.As(err, &conflict) {
		return r, changed
	}
	return r, renamed(err, nil, in.spec.Credentials)
}

// renamed puts complaints under the names that members have in the body.
func renamed(err error, names map[string]string, credentials map[string]secret.Value) error {
	p := problem.Of(err)
	if p == nil || len(p.Fields) == 0 {
		return err
	}
	own := *p
	own.Fields = map[string]string{}
	for field, text := range maps.All(p.Fields) {
		_, credential := credentials[field]
		switch {
		case names[field] != "":
			field = names[field]
		case credential:
			field = "credentials." + field
		case !slices.Contains([]string{"reason", "confirm", "scheme", "toolkit"}, field):
			field = "fields." + field
		}
		own.Fields[field] = text
	}
	return &own
}
