package change

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A Proposal is a change that somebody wants.
type Proposal struct {
	Project string // prj_…, empty for a change of the rules
	Reason  string
	Impact  map[string]Impact // by target, as it was shown
	Draft   bool              // keep it for oneself; it is handed in later
	Revises string            // chg_… of which this is the next revision, or empty
	Version int64             // of that request, as it was looked at

	revokes *revocation // what an access review decides with it, or nil
}

// propose keeps a request of these items and, where policy asks for no
// approval, lets it be applied at once.
func (s *Service) propose(ctx context.Context, by access.Reader, p Proposal, title string, items []Item, credentials map[int]map[string]secret.Value) (Request, error) {
	r := Request{
		ID: "chg_" + secret.Code(16), Project: p.Project, Title: title, State: Draft,
		Author: Author{by.ID, by.Name}, CreatedAt: s.now(), UpdatedAt: s.now(),
		Revision: Revision{Items: items},
	}
	project, err := s.inside(ctx, p.Project)
	if err != nil {
		return Request{}, err
	}
	r.Environment = project.Environment
	if err := r.At(by.User).Check(r.Takes()); err != nil {
		return Request{}, err
	}
	for i := range items {
		if impact, ok := p.Impact[items[i].Target]; ok {
			items[i].Impact = impact
		}
	}
	if r.Reason, err = s.reason(ctx, by, p, items); err != nil {
		return Request{}, err
	}
	if p.Revises != "" {
		return s.revise(ctx, by, p, r, credentials)
	}
	sealed := s.seal(by, r.Project, r.ID, items, credentials)
	if err := r.nextRevision(by, items, r.CreatedAt); err != nil {
		return r, err
	}
	submit := func(f Facts) ([]audit.Event, error) { return s.hand(by, &r, p.Draft, f) }
	if p.revokes != nil {
		err = s.store.AddRevocation(ctx, &r, p.revokes.review, p.revokes.by(by, &r, s.now()), submit)
	} else {
		err = s.store.AddRequest(ctx, &r, sealed, submit)
	}
	if err != nil {
		return r, err
	}
	s.start(r.ID)
	return r, nil
}

// hand hands a new request in, or keeps it as a draft.
func (s *Service) hand(by access.Reader, r *Request, draft bool, f Facts) ([]audit.Event, error) {
	t, err := s.table(r, f)
	if err != nil {
		return nil, err
	}
	author, err := f.User(by.ID)
	if err != nil {
		return nil, err
	}
	if err := r.At(author).Check(r.Takes()); err != nil {
		return nil, err
	}
	if draft {
		r.ExpiresAt = r.CreatedAt.Add(draftLife)
		return []audit.Event{r.event(by.Actor(), "change.drafted")}, nil
	}
	return r.submit(by.Actor(), t, true)
}

// draftLife is how long a draft lies untouched before it and its credentials go.
const draftLife = 24 * time.Hour

// reason tidies why somebody wants a change. It may be left out where nobody has
// to agree.
func (s *Service) reason(ctx context.Context, by access.Reader, p Proposal, items []Item) (string, error) {
	if p.Draft {
		return checkReason(p.Reason, false)
	}
	policies, err := s.Covering(ctx, p.Project, by.ID, items)
	return checkReason(p.Reason, err == nil && tally(policies, nil).Need > 0)
}

// Covering returns the policies that decide about items as things stand, if
// somebody proposes them.
func (s *Service) Covering(ctx context.Context, projectID, author string, items []Item) ([]Policy, error) {
	rules, err := s.store.Rules(ctx)
	if err != nil {
		return nil, err
	}
	people, err := s.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	project, err := s.inside(ctx, projectID)
	if err != nil {
		return nil, err
	}
	policies, _ := rules.For(project, items, people, []string{author})
	return policies, nil
}

// inside returns the project of a request, none for a change of the rules.
func (s *Service) inside(ctx context.Context, id string) (mirror.Project, error) {
	if id == "" {
		return mirror.Project{}, nil
	}
	return s.store.Project(ctx, id)
}

// nextRevision makes items the request's current revision.
func (r *Request) nextRevision(by access.Reader, items []Item, now time.Time) error {
	contributors := slices.Clone(r.Revision.Contributors)
	if !slices.Contains(contributors, by.ID) {
		contributors = append(contributors, by.ID)
	}
	r.Revision = Revision{Number: r.Revision.Number + 1, Items: items, Contributors: contributors, By: Author{by.ID, by.Name}, CreatedAt: now}
	r.Progress = nil
	for _, it := range items {
		r.Progress = append(r.Progress, Progress{Target: it.Target, State: ItemPending, Step: StepMain})
	}
	var err error
	r.Revision.EffectHash, err = effectHash(r.Project, items)
	return err
}

// seal encrypts the credentials for their rows and leaves fingerprints in items.
func (s *Service) seal(by access.Reader, project, id string, items []Item, credentials map[int]map[string]secret.Value) []Sealed {
	var sealed []Sealed
	for i := range items {
		for _, field := range slices.Sorted(maps.Keys(credentials[i])) {
			v := credentials[i][field]
			items[i].Credentials = append(items[i].Credentials, Credential{
				Field: field, Fingerprint: s.keys.Fingerprint(v, project, field), LengthClass: v.LengthClass(),
				By: Author{by.ID, by.Name}, At: s.now(),
			})
			sealed = append(sealed, Sealed{Item: i, Field: field, Sealed: s.keys.Seal(v, tableSealed, sealedRow(id, i), field)})
		}
	}
	return sealed
}

const tableSealed = "sealed_credential"

func sealedRow(request string, item int) string { return request + "/" + itoa(item) }

// open returns the credentials of an item that wait to be sent.
func (s *Service) open(ctx context.Context, request string, item int) (map[string]secret.Value, error) {
	all, err := s.store.SealedCredentials(ctx, request, item)
	if err != nil {
		return nil, err
	}
	out := map[string]secret.Value{}
	for _, one := range all {
		if out[one.Field], err = s.keys.Open(one.Sealed, tableSealed, sealedRow(request, item), one.Field); err != nil {
			return nil, fmt.Errorf("credential %s of %s: %w", one.Field, request, err)
		}
	}
	return out, nil
}

// approvedOnes reports whether credentials are those that a revision names, by
// their fingerprints.
func (s *Service) approvedOnes(r Request, it Item, credentials map[string]secret.Value) bool {
	for _, c := range it.Credentials {
		if v, ok := credentials[c.Field]; !ok || s.keys.Fingerprint(v, r.Project, c.Field) != c.Fingerprint {
			return false
		}
	}
	return len(credentials) == len(it.Credentials)
}

// writable returns a project that changes may be proposed for.
func (s *Service) writable(ctx context.Context, id string) (mirror.Project, error) {
	p, err := s.store.Project(ctx, id)
	switch {
	case err != nil:
		return p, err
	case p.Archived():
		return p, problem.New(problem.Conflict, "The project %s is archived. Nothing is sent to it.", p.Name)
	case p.ReadOnly:
		return p, problem.New(problem.Forbidden, "The API key of %s may only read. An admin can replace it in Settings.", p.Name)
	}
	return p, nil
}

// ProposeCreate asks for a new auth config.
func (s *Service) ProposeCreate(ctx context.Context, by access.Reader, p Proposal, spec Spec) (Request, error) {
	project, err := s.writable(ctx, p.Project)
	if err != nil {
		return Request{}, err
	}
	toolkit, err := s.mirror.Toolkit(ctx, p.Project, spec.Toolkit)
	if err != nil {
		return Request{}, err
	}
	set, err := spec.checkCreate(toolkit)
	if err != nil {
		return Request{}, err
	}
	it := Item{
		Kind: KindConfig, Operation: Create, Name: set[mirror.FieldName][0], Toolkit: toolkit.Slug, Scheme: spec.Scheme,
		Managed: spec.Managed, Set: set, Base: mirror.Values{}, ScopeForm: composio.ScopeComma,
	}
	if scheme, ok := toolkit.Scheme(spec.Scheme); ok {
		it.ScopeForm = scheme.ScopeForm()
	}
	if project.Markers {
		it.Marker = newMarker()
	}
	title := "Create " + it.Name
	return s.propose(ctx, by, p, title, []Item{it}, map[int]map[string]secret.Value{0: spec.Credentials})
}

// ProposeUpdate asks for a change of an auth config. The base are the values
// that the author saw; if they aren't live any more, the answer is a
// [Conflict] and nothing is proposed.
func (s *Service) ProposeUpdate(ctx context.Context, by access.Reader, p Proposal, id string, spec Spec, base mirror.Values) (Request, error) {
	live, err := s.config(ctx, p.Project, id)
	if err != nil {
		return Request{}, err
	}
	set, err := spec.checkUpdate(live)
	if err != nil {
		return Request{}, err
	}
	if _, key := spec.Credentials[proxyKey]; key && len(set[mirror.FieldProxyURL]) == 0 {
		if live.ProxyURL == "" {
			return Request{}, invalid(map[string]string{proxyKey: "Set the proxy's address too."})
		}
		set[mirror.FieldProxyURL] = []string{live.ProxyURL}
	}
	it := Item{Kind: KindConfig, Operation: Update, Target: id, Set: set, ScopeForm: live.ScopeForm(set)}
	it.rebase(live)
	if now := live.Values(); base != nil {
		if changed := it.Base.Pick(base.Differences(now)...); len(changed) > 0 {
			return Request{}, &Conflict{Saw: base.Pick(slices.Collect(maps.Keys(changed))...), Live: live}
		}
	}
	return s.propose(ctx, by, p, "Edit "+live.Name, []Item{it}, map[int]map[string]secret.Value{0: spec.Credentials})
}

// A Conflict says that a config changed since the author looked.
type Conflict struct {
	Saw  mirror.Values // the author's values of the fields that changed
	Live mirror.AuthConfig
}

// Error implements error.
func (*Conflict) Error() string { return "the auth config changed since it was looked at" }

// ProposeSwitch asks to enable or disable auth configs, all in one request.
func (s *Service) ProposeSwitch(ctx context.Context, by access.Reader, p Proposal, ids []string, enable bool) (Request, error) {
	op, verb, state := Disable, "Disable", mirror.Disabled
	if enable {
		op, verb, state = Enable, "Enable", mirror.Enabled
	}
	var items []Item
	for _, id := range ids {
		live, err := s.config(ctx, p.Project, id)
		if err != nil {
			return Request{}, err
		}
		if live.Status == state && len(ids) > 1 {
			continue
		}
		it := Item{Kind: KindConfig, Operation: op, Target: id, Set: mirror.Values{mirror.FieldStatus: {state}}}
		it.rebase(live)
		if it.unchangedBy(live) {
			return Request{}, problem.New(problem.Conflict, "%s is %s already. Nothing was sent to Composio.", live.Name, strings.ToLower(state))
		}
		items = append(items, it)
	}
	switch len(items) {
	case 0:
		return Request{}, problem.New(problem.Conflict, "All of these are %s already. Nothing was sent to Composio.", strings.ToLower(state))
	case 1:
		verb += " " + items[0].Name
	default:
		verb += fmt.Sprintf(" %d auth configs", len(items))
	}
	return s.propose(ctx, by, p, verb, items, nil)
}

func (it Item) unchangedBy(live mirror.AuthConfig) bool {
	return mirror.SameValue(mirror.FieldStatus, it.Set[mirror.FieldStatus], []string{live.Status})
}

// ProposeDelete asks to delete an auth config. The typed name must be the
// config's; an enabled one takes skipDisable, since disabling first is the
// gentler way.
func (s *Service) ProposeDelete(ctx context.Context, by access.Reader, p Proposal, id, typedName string, skipDisable, revoke bool) (Request, error) {
	live, err := s.config(ctx, p.Project, id)
	if err != nil {
		return Request{}, err
	}
	complaints := map[string]string{}
	if strings.TrimSpace(typedName) != live.Name {
		complaints["confirm"] = "Type the name exactly as it is shown, to confirm."
	}
	if live.Enabled() && !skipDisable {
		complaints["skip_disable"] = "Disable the auth config first, or tick this to delete it while it is enabled."
	}
	if err := invalid(complaints); err != nil {
		return Request{}, err
	}
	it := Item{Kind: KindConfig, Operation: Delete, Target: id, Set: mirror.Values{}, Revoke: revoke}
	it.rebase(live)
	return s.propose(ctx, by, p, "Delete "+live.Name, []Item{it}, nil)
}

// config returns a config of a project that changes may be proposed for.
func (s *Service) config(ctx context.Context, project, id string) (mirror.AuthConfig, error) {
	if _, err := s.writable(ctx, project); err != nil {
		return mirror.AuthConfig{}, err
	}
	snapshot, err := s.store.Snapshot(ctx, project)
	if err != nil {
		return mirror.AuthConfig{}, err
	}
	live, ok := snapshot.Get(id)
	if !ok {
		return live, problem.New(problem.NotFound, "There is no such auth config in this project.")
	}
	return live, nil
}
