package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	ql "gatehouse/internal/query"
)

// moment is a time as JSON, null if there is none.
func moment(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(time.RFC3339Nano)
	return &text
}

// A person is somebody by name.
type person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Me answers who the token acts for, and what it may do.
func (s *Service) Me(c echo.Context) error {
	if _, err := params(c); err != nil {
		return err
	}
	who := reader(c)
	t := who.ThroughToken()
	type token struct {
		ID          string              `json:"id"`
		Name        string              `json:"name"`
		May         []access.TokenRight `json:"may"`
		AllProjects bool                `json:"all_projects"`
		Projects    []string            `json:"projects"`
		ExpiresAt   *string             `json:"expires_at"`
	}
	v := struct {
		User  person `json:"user"`
		Token token  `json:"token"`
	}{person{who.ID, who.Name}, token{t.ID, t.Name, t.Rights, len(t.Projects) == 0, []string{}, moment(t.ExpiresAt)}}
	projects, err := s.o.Store.Projects(c.Request().Context())
	if err != nil {
		return err
	}
	for _, p := range projects {
		if slices.Contains(t.Projects, p.ID) {
			v.Token.Projects = append(v.Token.Projects, p.Slug)
		}
	}
	return s.answer(c, http.StatusOK, v)
}

// sees reports whether something of a project is the reader's to see.
func sees(who access.Reader, p mirror.Project) bool {
	return who.MayWithin(access.ViewConfigs, p.Place())
}

// Projects lists the projects that the reader sees.
func (s *Service) Projects(c echo.Context) error {
	if _, err := params(c); err != nil {
		return err
	}
	all, err := s.o.Store.Projects(c.Request().Context())
	if err != nil {
		return err
	}
	type project struct {
		ID          string  `json:"id"`
		Slug        string  `json:"slug"`
		Name        string  `json:"name"`
		Environment string  `json:"environment"`
		ReadOnly    bool    `json:"read_only"`
		Archived    bool    `json:"archived"`
		SyncedAt    *string `json:"synced_at"`
	}
	var items []project
	for _, p := range all {
		if sees(reader(c), p) {
			items = append(items, project{p.ID, p.Slug, p.Name, p.Environment, p.ReadOnly, p.Archived(), moment(p.Sync.OKAt)})
		}
	}
	return s.answer(c, http.StatusOK, listOf(items, ""))
}

// project is the one that the address names.
func (s *Service) project(c echo.Context) (mirror.Project, error) {
	slug := c.Param("slug")
	none := problem.New(problem.NotFound, "There is no such project, or this token may not see it.")
	if slug == "" || strings.ContainsRune(slug, 0) {
		return mirror.Project{}, none
	}
	p, err := s.o.Store.ProjectBySlug(c.Request().Context(), slug)
	if problem.Is(err, problem.NotFound) || err == nil && !sees(reader(c), p) {
		return p, none
	}
	return p, err
}

// An authConfig is an auth config. It holds no credential, only the names of those
// that are set.
type authConfig struct {
	ID             string        `json:"id"`
	Project        string        `json:"project"`
	Name           string        `json:"name"`
	Toolkit        string        `json:"toolkit"`
	Scheme         string        `json:"scheme"`
	Managed        bool          `json:"managed"`
	Status         string        `json:"status"`
	Connections    int           `json:"connections"`
	Version        int64         `json:"version"`
	Fields         mirror.Values `json:"fields"`
	CredentialsSet []string      `json:"credentials_set"`
	CreatedAt      *string       `json:"created_at"`
	ChangedAt      *string       `json:"changed_at"`
	ChangedBy      string        `json:"changed_by"`
	ChangedVia     string        `json:"changed_via"`
	URL            string        `json:"url"`
}

func (s *Service) authConfig(p mirror.Project, a mirror.AuthConfig) authConfig {
	fields := a.Values()
	set := fields[mirror.FieldCredentials]
	delete(fields, mirror.FieldCredentials)
	return authConfig{
		ID: a.ID, Project: p.Slug, Name: a.Name, Toolkit: a.Toolkit, Scheme: a.Scheme, Managed: a.Managed, Status: a.Status, Connections: a.Connections,
		Version: a.Seen.Version, Fields: fields, CredentialsSet: set, CreatedAt: moment(a.CreatedAt),
		ChangedAt: moment(a.Seen.ChangedAt), ChangedBy: a.Seen.ChangedBy, ChangedVia: a.Seen.ChangedVia,
		URL: s.o.PublicURL + "/projects/" + p.Slug + "/auth-configs/" + a.ID,
	}
}

// AuthConfigs lists the auth configs of a project.
func (s *Service) AuthConfigs(c echo.Context) error {
	q, err := params(c, "q", "toolkit", "scheme", "status", "managed", "sort", "limit", "cursor")
	if err != nil {
		return err
	}
	n, err := limit(q)
	if err != nil {
		return err
	}
	p, err := s.project(c)
	if err != nil {
		return err
	}
	if _, err := ql.Configs.Parse(q.Get("q")); err != nil {
		return invalid("q", err.Error())
	}
	if !slices.Contains(append(mirror.SortKeys(), ""), q.Get("sort")) {
		return invalid("sort", "Give one of "+strings.Join(mirror.SortKeys(), ", ")+".")
	}
	if !slices.Contains([]string{"", "managed", "own"}, q.Get("managed")) {
		return invalid("managed", "Give managed or own.")
	}
	ctx := c.Request().Context()
	all, err := s.o.Store.Snapshot(ctx, p.ID)
	if err != nil {
		return err
	}
	snapshot := all.SeenBy(reader(c).User, p)
	drifts, err := s.o.Store.Drifts(ctx, p.ID)
	if err != nil {
		return err
	}
	if _, there := snapshot.Get(q.Get("cursor")); q.Has("cursor") && !there {
		return problem.New(problem.Conflict, "The auth config that the last page ended with is gone. Begin the list again.")
	}
	found := snapshot.Find(mirror.Query{
		Text: q.Get("q"), Toolkit: q.Get("toolkit"), Scheme: q.Get("scheme"), Status: q.Get("status"), Managed: q.Get("managed"),
		Sort: q.Get("sort"), After: q.Get("cursor"), Limit: n, Drifting: mirror.NewDrifting(drifts),
	})
	items := make([]authConfig, len(found.Configs))
	for i, a := range found.Configs {
		items[i] = s.authConfig(p, *a)
	}
	return s.answer(c, http.StatusOK, listOf(items, found.Next))
}

// AuthConfig answers one auth config.
func (s *Service) AuthConfig(c echo.Context) error {
	if _, err := params(c); err != nil {
		return err
	}
	p, err := s.project(c)
	if err != nil {
		return err
	}
	a, err := s.config(c, p, c.Param("id"))
	if err != nil {
		return err
	}
	return s.answer(c, http.StatusOK, s.authConfig(p, a))
}

// config is an auth config of a project that the reader may see.
func (s *Service) config(c echo.Context, p mirror.Project, id string) (mirror.AuthConfig, error) {
	snapshot, err := s.o.Store.Snapshot(c.Request().Context(), p.ID)
	if err != nil {
		return mirror.AuthConfig{}, err
	}
	a, ok := snapshot.Get(id)
	if !ok || !reader(c).MayIn(access.ViewConfigs, p.At(a.Toolkit)) {
		return a, problem.New(problem.NotFound, "There is no such auth config in this project, or this token may not see it.")
	}
	return a, nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
