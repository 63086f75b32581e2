package app

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// configNew is the wizard up to its last page: which toolkit, whose app and
// which scheme, then everything that is no credential. Each page is a GET, so
// that Back and reload work.
func (s *Server) configNew(c echo.Context) error {
	p, err := s.writableProject(c)
	if err != nil {
		return err
	}
	w := wizard{s: s, c: c, project: p, choice: readChoice(c.QueryParams())}
	if typed := s.typed(c); typed != nil {
		w.choice = readChoice(typed)
		w.typed = typed
	}
	if w.typed == nil {
		if w.typed, err = s.fromRequest(c, p, nil); err != nil {
			return err
		}
	}
	if w.choice.toolkit == "" {
		return w.gallery()
	}
	if w.toolkit, err = s.mirror.Toolkit(c.Request().Context(), p.ID, w.choice.toolkit); err != nil {
		return err
	}
	if !w.complete() {
		return w.schemes()
	}
	return w.details(nil)
}

// writableProject is the project that the URL names, if it can take changes.
func (s *Server) writableProject(c echo.Context) (mirror.Project, error) {
	p, err := s.findProject(c)
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

// A choice is what was picked in the first steps.
type choice struct {
	toolkit string
	managed string // "true", "false" or open
	scheme  string
}

func readChoice(v url.Values) choice {
	return choice{toolkit: strings.ToLower(strings.TrimSpace(v.Get("toolkit"))), managed: v.Get("managed"), scheme: v.Get("scheme")}
}

// wizard makes the pages that create an auth config.
type wizard struct {
	s       *Server
	c       echo.Context
	project mirror.Project
	choice  choice
	toolkit mirror.ToolkitDetail
	typed   url.Values // what the form is to be filled with; nil at first
}

func (w *wizard) managed() bool { return w.choice.managed == "true" }

// complete reports whether app and scheme are chosen. A scheme alone, as links
// from elsewhere have it, means one's own credentials.
func (w *wizard) complete() bool {
	if w.choice.scheme == "" || !w.toolkit.Creatable() {
		return false
	}
	if w.managed() {
		return slices.Contains(w.toolkit.ManagedSchemes, w.choice.scheme)
	}
	_, known := w.toolkit.Scheme(w.choice.scheme)
	return known && w.choice.scheme != "NO_AUTH"
}

func (w *wizard) path(pairs ...string) string {
	return query(configsPath(w.project.Slug)+"/new", pairs...)
}

// frame surrounds a page of the wizard, and tells of what was typed there before.
func (w *wizard) frame(title string) (templates.PageView, error) {
	frame, err := w.s.frame(w.c, w.place(title))
	if err != nil {
		return frame, err
	}
	frame.Draft, err = w.s.draftView(w.c)
	return frame, err
}

func (w *wizard) place(title string) place {
	base := configsPath(w.project.Slug)
	return place{title: title, nav: "Auth configs", project: &w.project, crumbs: []templates.LinkView{
		{Text: w.project.Name, URL: templates.Local(base)}, {Text: "Auth configs", URL: templates.Local(base)},
	}}
}

func (w *wizard) gallery() error {
	frame, err := w.frame("New auth config")
	if err != nil {
		return err
	}
	ctx := w.c.Request().Context()
	all, _, err := w.s.store.Toolkits(ctx, w.project.ID)
	if err != nil {
		return err
	}
	snapshot, err := w.s.snapshot(w.c, w.project)
	if err != nil {
		return err
	}
	v := galleryView(all, snapshot, w.c.QueryParam("q"), w.c.QueryParam("category"), func(slug string) string { return w.path("toolkit", slug) })
	v.Page, v.Steps, v.Action = frame, wizardSteps(0, nil), templates.Local(w.path())
	return page(w.c, templates.Gallery(v))
}

func (w *wizard) schemes() error {
	frame, err := w.frame("New auth config for " + w.toolkit.Name)
	if err != nil {
		return err
	}
	existing, err := w.existing()
	if err != nil {
		return err
	}
	v := schemesView(w.toolkit, func(managed, scheme string) string {
		return w.path("toolkit", w.toolkit.Slug, "managed", managed, "scheme", scheme)
	})
	v.Page, v.Existing = frame, existing
	v.Steps = wizardSteps(1, []stepLink{{w.toolkit.Name, w.path()}})
	return page(w.c, templates.Schemes(v))
}

// existing lists the project's configs of the toolkit.
func (w *wizard) existing() ([]templates.LinkView, error) {
	snapshot, err := w.s.snapshot(w.c, w.project)
	if err != nil {
		return nil, err
	}
	var links []templates.LinkView
	found := snapshot.Find(mirror.Query{Toolkit: w.toolkit.Slug, Limit: 5})
	for _, a := range found.Configs {
		text := a.Name + " (" + a.Scheme + ", " + strings.ToLower(owner(a.Managed)) + ", " + strings.ToLower(statusBadge(a.Status).Text) + ")"
		links = append(links, templates.LinkView{Text: text, URL: templates.Local(configPath(w.project.Slug, a.ID))})
	}
	if more := found.Matches - len(found.Configs); more > 0 {
		links = append(links, templates.LinkView{Text: "and " + number(more) + " more", URL: templates.Local(query(configsPath(w.project.Slug), "toolkit", w.toolkit.Slug))})
	}
	return links, nil
}

// details shows the form with everything that is no credential.
func (w *wizard) details(complaint error) error {
	v, err := w.detailsView(complaint)
	if err != nil {
		return err
	}
	if complaint != nil {
		return again(w.c, templates.Details(v))
	}
	return page(w.c, templates.Details(v))
}

func (w *wizard) detailsView(complaint error) (templates.DetailsView, error) {
	frame, err := w.frame("New auth config for " + w.toolkit.Name)
	if err != nil {
		return templates.DetailsView{}, err
	}
	existing, err := w.existing()
	if err != nil {
		return templates.DetailsView{}, err
	}
	snapshot, err := w.s.snapshot(w.c, w.project)
	if err != nil {
		return templates.DetailsView{}, err
	}
	tools, terr := w.s.mirror.Tools(w.c.Request().Context(), w.project.ID, w.toolkit.Slug)
	b := detailsBuilder{toolkit: w.toolkit, scheme: w.choice.scheme, managed: w.managed(), tools: tools, typed: w.typed, wrong: fieldComplaints(complaint)}
	b.suggest = suggestedName(w.toolkit.Slug, w.project, snapshot)
	v := b.create()
	v.Page, v.Existing, v.Complaints = frame, existing, complaintsView(complaint, fieldLabels)
	v.Title = "New auth config for " + w.toolkit.Name
	v.Sub = ownerLong(w.managed()) + " with " + w.choice.scheme + ". Credentials come on the last page."
	v.Form = w.s.newDraftForm(w.c, configsPath(w.project.Slug)+"/review", w.path())
	v.Hidden = w.hiddenChoice()
	v.Steps = wizardSteps(3, w.chosen())
	v.Back = templates.LinkView{Text: "Back", URL: templates.Local(w.path("toolkit", w.toolkit.Slug))}
	v.Button = "Review"
	if !w.managed() && strings.HasPrefix(w.choice.scheme, "OAUTH") {
		v.Callback = w.project.Callback()
	}
	if terr != nil {
		v.Notices = append(v.Notices, templates.NoticeView{Tone: "warn", Text: "The toolkit's tools could not be read, so none are suggested. " + mirror.Refusal(terr).Message})
	}
	return v, nil
}

func (w *wizard) hiddenChoice() []templates.HiddenView {
	return append(along(w.typed),
		templates.HiddenView{Name: "toolkit", Value: w.toolkit.Slug}, templates.HiddenView{Name: "managed", Value: w.choice.managed}, templates.HiddenView{Name: "scheme", Value: w.choice.scheme})
}

// hiddenReason carries a reason along the pages that don't ask for it.
func hiddenReason(reason string) []templates.HiddenView {
	if reason == "" {
		return nil
	}
	return []templates.HiddenView{{Name: "reason", Value: reason}}
}

// along carries what the pages between don't ask for: the reason, and which
// request is being revised.
func along(typed url.Values) []templates.HiddenView {
	out := hiddenReason(typed.Get("reason"))
	if typed.Get("revises") != "" {
		out = append(out, templates.HiddenView{Name: "revises", Value: typed.Get("revises")}, templates.HiddenView{Name: "version", Value: typed.Get("version")})
	}
	return out
}

// fromRequest fills a form with what a change request wants: ?request= makes its
// next revision, ?copy= a new request.
func (s *Server) fromRequest(c echo.Context, p mirror.Project, live mirror.Values) (url.Values, error) {
	id := c.QueryParam("request")
	if id == "" {
		id = c.QueryParam("copy")
	}
	if id == "" {
		return nil, nil //nolint:nilnil // nothing typed is what a new form begins with
	}
	r, err := s.findRequest(c, id)
	if err != nil {
		return nil, err
	}
	if r.Project != p.ID || len(r.Revision.Items) != 1 {
		return nil, problem.New(problem.NotFound, "This form is not about that change request.")
	}
	form := url.Values{"reason": {r.Reason}}
	if c.QueryParam("request") != "" {
		form.Set("revises", r.ID)
		form.Set("version", strconv.FormatInt(r.Version, 10))
	}
	values := maps.Clone(live)
	if values == nil {
		values = mirror.Values{}
	}
	maps.Copy(values, r.Revision.Items[0].Set)
	for name, value := range formFields(values) {
		if change.Editable(r.Revision.Items[0].Managed, strings.TrimPrefix(name, "field.")) {
			form[name] = value
		}
	}
	return form, nil
}

func (w *wizard) chosen() []stepLink {
	back := w.path("toolkit", w.toolkit.Slug)
	return []stepLink{{w.toolkit.Name, w.path()}, {ownerLong(w.managed()), back}, {w.choice.scheme, back}}
}
