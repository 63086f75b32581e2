package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// AddProject makes a project after a harmless call has shown that the key works.
func (s *Service) AddProject(ctx context.Context, by access.Reader, in ProjectInput, key secret.Value) (Project, error) {
	if err := by.Check(access.ManageProjects); err != nil {
		return Project{}, err
	}
	complaints := in.check()
	if key.Empty() {
		complaints["api_key"] = "Enter the project's API key. It starts with ak_."
	}
	if err := invalid(complaints); err != nil {
		return Project{}, err
	}
	p := Project{
		ID: "prj_" + secret.Code(16), Slug: in.Slug, Name: in.Name, Environment: in.Environment,
		BaseURL: in.BaseURL, Markers: true, Readers: ReaderRoles(), CreatedAt: s.now(),
	}
	if err := s.setKey(ctx, &p, key); err != nil {
		return p, err
	}
	all, err := s.store.Projects(ctx)
	if err != nil {
		return p, err
	}
	for _, other := range all {
		if p.RemoteID != "" && other.RemoteID == p.RemoteID && sameHost(other.BaseURL, p.BaseURL) {
			return p, invalid(map[string]string{"api_key": "This key belongs to the Composio project that " + other.Name + " is already here for. Two projects here would give it two policies."})
		}
	}
	err = s.store.AddProject(ctx, p, audit.Event{
		Actor: by.Actor(), Action: "project.added", Object: p.object(), Project: p.ID, Changes: p.firstValues(),
	})
	if err == nil {
		s.SyncSoon()
	}
	return p, err
}

// EnsureProject makes a project that the operator's settings describe, or gives it
// the key that they have now. A key that can't be checked at the moment is taken
// as it is; syncs tell if it doesn't work.
func (s *Service) EnsureProject(ctx context.Context, in ProjectInput, key secret.Value) error {
	if err := invalid(in.check()); err != nil {
		return fmt.Errorf("project %s: %w: %v", in.Slug, err, problem.Of(err).Fields)
	}
	projects, err := s.store.Projects(ctx)
	if err != nil {
		return err
	}
	p := Project{ID: "prj_" + secret.Code(16), Slug: in.Slug, Name: in.Name, Environment: in.Environment, BaseURL: in.BaseURL, Markers: true, Readers: ReaderRoles(), CreatedAt: s.now()}
	i := slices.IndexFunc(projects, func(p Project) bool { return p.Slug == in.Slug })
	if i >= 0 {
		p = projects[i]
		if p.Key.Fingerprint == s.keys.Fingerprint(key, p.ID, fieldKey) && p.BaseURL == in.BaseURL {
			return nil
		}
		p.BaseURL = in.BaseURL
	}
	before := p.Key.Fingerprint
	if err := s.setKey(ctx, &p, key); err != nil {
		s.log.Warn("the API key from the settings could not be checked", "project", p.Slug, "err", err)
		s.takeKey(&p, key)
	}
	if i >= 0 && projects[i].otherRemote(p) {
		return fmt.Errorf("the API key in the settings belongs to Composio's project %q, but the project %s here mirrors %q: add a project for it under Settings, or use the old key", p.RemoteName, p.Slug, projects[i].RemoteName)
	}
	if i < 0 {
		return s.store.AddProject(ctx, p, audit.Event{Actor: audit.System(), Action: "project.added", Object: p.object(), Project: p.ID, Changes: p.firstValues()})
	}
	_, err = s.store.UpdateProject(ctx, p.ID, func(old *Project) ([]audit.Event, error) {
		old.Key, old.BaseURL, old.ReadOnly, old.RemoteID, old.RemoteName = p.Key, p.BaseURL, false, p.RemoteID, p.RemoteName
		change := audit.Change{Field: "api_key", Before: one(before), After: one(p.Key.Fingerprint)}
		return []audit.Event{{Actor: audit.System(), Action: "project.key_replaced", Object: p.object(), Project: p.ID, Changes: []audit.Change{change}}}, nil
	})
	return err
}

// otherRemote reports whether two states of a project are certainly of different
// Composio projects.
func (p Project) otherRemote(now Project) bool {
	return p.RemoteID != "" && now.RemoteID != "" && p.RemoteID != now.RemoteID
}

// firstValues are what history says of a new project.
func (p Project) firstValues() []audit.Change {
	return []audit.Change{
		{Field: "environment", Before: []string{}, After: one(p.Environment)},
		{Field: "base_url", Before: []string{}, After: one(p.BaseURL)},
		{Field: "api_key", Before: []string{}, After: one(p.Key.Fingerprint)},
	}
}

func (p Project) object() audit.Object { return audit.Object{Kind: "project", ID: p.ID, Name: p.Name} }

// setKey checks a key by asking Composio whose it is, and seals it into p.
func (s *Service) setKey(ctx context.Context, p *Project, key secret.Value) error {
	c, err := s.newClient(p.BaseURL, key)
	if err != nil {
		return problem.InvalidFields("Nothing was saved.", map[string]string{"base_url": err.Error()})
	}
	defer c.Close()
	session, err := c.Session(ctx)
	if err != nil {
		return problem.InvalidFields("Nothing was saved.", map[string]string{"api_key": keyComplaint(err)})
	}
	p.RemoteID, p.RemoteName = session.ProjectID, session.ProjectName
	s.takeKey(p, key)
	return nil
}

// takeKey seals a key into p.
func (s *Service) takeKey(p *Project, key secret.Value) {
	p.ReadOnly = false
	p.Key = Key{
		Sealed:      s.keys.Seal(key, tableProject, p.ID, fieldKey),
		Last4:       key.Last4(),
		Fingerprint: s.keys.Fingerprint(key, p.ID, fieldKey),
		SetAt:       s.now(),
	}
}

func keyComplaint(err error) string {
	var e *composio.Error
	if errors.As(err, &e) && (e.Status == 401 || e.Status == 403) {
		return "Composio doesn't accept this key. Use a project key, which starts with ak_."
	}
	return "The key could not be checked. " + Refusal(err).Message
}

// EditProject changes a project's name and environment.
func (s *Service) EditProject(ctx context.Context, by access.Reader, id string, in ProjectInput) (Project, error) {
	if err := by.Check(access.ManageProjects); err != nil {
		return Project{}, err
	}
	old, err := s.store.Project(ctx, id)
	if err != nil {
		return Project{}, err
	}
	in.Slug, in.BaseURL, in.Environment = old.Slug, old.BaseURL, old.Environment
	if err := invalid(in.check()); err != nil {
		return Project{}, err
	}
	return s.store.UpdateProject(ctx, id, func(p *Project) ([]audit.Event, error) {
		changes := []audit.Change{}
		if p.Name != in.Name {
			changes = append(changes, audit.Change{Field: "name", Before: one(p.Name), After: one(in.Name)})
		}
		if len(changes) == 0 {
			return nil, problem.New(problem.Conflict, "Nothing is different from what is saved.")
		}
		p.Name = in.Name
		return []audit.Event{{Actor: by.Actor(), Action: "project.edited", Object: p.object(), Project: p.ID, Changes: changes}}, nil
	})
}

// SetMarkers says whether creates carry a marker in the name until they are
// settled. Without it, a create whose answer got lost waits for a person.
func (s *Service) SetMarkers(ctx context.Context, by access.Reader, id string, on bool) error {
	if err := by.Check(access.ManageProjects); err != nil {
		return err
	}
	_, err := s.store.UpdateProject(ctx, id, func(p *Project) ([]audit.Event, error) {
		if p.Markers == on {
			return nil, problem.New(problem.Conflict, "Nothing is different from what is saved.")
		}
		p.Markers = on
		action := "project.markers_off"
		if on {
			action = "project.markers_on"
		}
		return []audit.Event{{Actor: by.Actor(), Action: action, Object: p.object(), Project: p.ID}}, nil
	})
	return err
}

// SetReaders says which roles may read the history of a project, beside auditors
// and admins.
func (s *Service) SetReaders(ctx context.Context, by access.Reader, id string, roles []access.Role) error {
	if err := by.Check(access.ManageProjects); err != nil {
		return err
	}
	if slices.ContainsFunc(roles, func(r access.Role) bool { return !slices.Contains(ReaderRoles(), r) }) {
		return invalid(map[string]string{"roles": "Choose from the roles that are listed."})
	}
	readers := slices.DeleteFunc(ReaderRoles(), func(r access.Role) bool { return !slices.Contains(roles, r) })
	_, err := s.store.UpdateProject(ctx, id, func(p *Project) ([]audit.Event, error) {
		if slices.Equal(p.Readers, readers) {
			return nil, problem.New(problem.Conflict, "Nothing is different from what is saved.")
		}
		change := audit.Change{Field: "history_readers", Before: roleNames(p.Readers), After: roleNames(readers)}
		p.Readers = readers
		return []audit.Event{{Actor: by.Actor(), Action: "project.edited", Object: p.object(), Project: p.ID, Changes: []audit.Change{change}}}, nil
	})
	return err
}

// ReplaceKey gives a project another API key after checking it. A key of another
// Composio project is refused where Composio tells whose it is: every config
// would seem to have been deleted.
func (s *Service) ReplaceKey(ctx context.Context, by access.Reader, id string, key secret.Value) (Project, error) {
	if err := by.Check(access.ManageProjects); err != nil {
		return Project{}, err
	}
	if key.Empty() {
		return Project{}, invalid(map[string]string{"api_key": "Enter the new API key."})
	}
	fresh, err := s.store.Project(ctx, id)
	if err != nil {
		return fresh, err
	}
	before := fresh
	if err := s.setKey(ctx, &fresh, key); err != nil {
		return fresh, err
	}
	if before.otherRemote(fresh) {
		return fresh, invalid(map[string]string{"api_key": "This key belongs to another Composio project. Add that as a project of its own."})
	}
	fresh, err = s.store.UpdateProject(ctx, id, func(p *Project) ([]audit.Event, error) {
		change := audit.Change{Field: "api_key", Before: one(p.Key.Fingerprint), After: one(fresh.Key.Fingerprint)}
		p.Key, p.ReadOnly, p.RemoteID, p.RemoteName = fresh.Key, fresh.ReadOnly, fresh.RemoteID, fresh.RemoteName
		return []audit.Event{{Actor: by.Actor(), Action: "project.key_replaced", Object: p.object(), Project: p.ID, Changes: []audit.Change{change}}}, nil
	})
	if err == nil {
		s.SyncSoon()
	}
	return fresh, err
}

// SetArchived takes a project out of use or back into it. Nothing changes at
// Composio.
func (s *Service) SetArchived(ctx context.Context, by access.Reader, id string, archived bool) error {
	if err := by.Check(access.ManageProjects); err != nil {
		return err
	}
	_, err := s.store.UpdateProject(ctx, id, func(p *Project) ([]audit.Event, error) {
		if p.Archived() == archived {
			return nil, problem.New(problem.Conflict, "Nothing is different from what is saved.")
		}
		action := "project.restored"
		p.ArchivedAt = time.Time{}
		if archived {
			action = "project.archived"
			p.ArchivedAt = s.now()
		}
		return []audit.Event{{Actor: by.Actor(), Action: action, Object: p.object(), Project: p.ID}}, nil
	})
	if err == nil {
		s.SyncSoon()
	}
	return err
}

// MarkReadOnly notes that Composio refused a write of this project for want of
// permission, so that pages stop offering changes until the key is replaced.
func (s *Service) MarkReadOnly(ctx context.Context, id string) error {
	_, err := s.store.UpdateProject(ctx, id, func(p *Project) ([]audit.Event, error) {
		if p.ReadOnly {
			return nil, nil
		}
		p.ReadOnly = true
		return []audit.Event{{Actor: audit.System(), Action: "project.read_only", Object: p.object(), Project: p.ID}}, nil
	})
	return err
}

// sameHost reports whether two base URLs lead to the same server.
func sameHost(a, b string) bool {
	host := func(s string) string {
		u, err := url.Parse(strings.ToLower(s))
		if err != nil {
			return s
		}
		return strings.TrimSuffix(strings.TrimSuffix(u.Host, ":443"), ":80")
	}
	return host(a) == host(b)
}
