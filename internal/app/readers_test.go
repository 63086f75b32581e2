package app

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// c4nary stands in entries of one project's history, and nowhere else.
const c4nary = "c4nary"

// A hidden project has a history that a person may be kept from.
type hiding struct {
	*site
	config  mirror.AuthConfig
	gone    string // id of one that is gone
	entries []int64
}

func newHiding(t *testing.T) *hiding {
	t.Helper()
	h := &hiding{site: newSite(t, sandbox.Options{})}
	h.config = h.Config(rig.OwnOAuth)
	return h
}

// happens adds to history what holds the c4nary. What there is now doesn't.
func (h *hiding) happens() {
	h.T.Helper()
	before := h.head()
	h.drift(h.config.ID, c4nary+" name")
	h.drift(h.config.ID, h.config.Name)
	made, err := h.Box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {AuthConfigs: []json.RawMessage{json.RawMessage(`{"toolkit":"slack","name":"` + c4nary + ` made"}`)}}}})
	if err != nil {
		h.T.Fatal(err)
	}
	h.meddle(sandbox.ProjectEdit{})
	h.gone = made.AuthConfigs[0]
	h.meddle(sandbox.ProjectEdit{Delete: []string{h.gone}})
	h.record(audit.Event{
		Actor: audit.Actor{Kind: audit.ActorUser, ID: "usr_else", Name: c4nary + " person"}, Action: "project.edited", Project: h.Project.ID,
		Object: audit.Object{Kind: "project", ID: h.Project.ID, Name: c4nary}, Reason: c4nary + " reason", Detail: map[string]string{"toolkit": c4nary},
		Changes: []audit.Change{{Field: "name", Before: []string{c4nary}, After: []string{"else"}}},
	})
	for _, e := range h.History(store.HistoryQuery{Project: h.Project.ID}) {
		if e.Seq > before && strings.Contains(fmt.Sprintf("%+v", e), c4nary) {
			h.entries = append(h.entries, e.Seq)
		}
	}
}

func (h *hiding) record(e audit.Event) {
	h.T.Helper()
	if err := h.Store.Record(h.T.Context(), e); err != nil {
		h.T.Fatal(err)
	}
}

func (h *hiding) head() int64 {
	h.T.Helper()
	head, err := h.Store.HistoryHead(h.T.Context())
	if err != nil {
		h.T.Fatal(err)
	}
	return head.Seq
}

// readBy says who may read the project's history.
func (h *hiding) readBy(roles ...access.Role) {
	h.T.Helper()
	if err := h.Mirror.SetReaders(h.T.Context(), access.Operator(), h.Project.ID, roles); err != nil {
		h.T.Fatal(err)
	}
}

// paths are all pages that a role may open, of everything that the c4nary is in.
func (h *hiding) paths(role access.Role) []string {
	may := access.User{State: access.Active, Grants: access.Unscoped(role)}.May
	request := h.someRequest()
	var all []string
	add := func(paths ...string) {
		for _, path := range paths {
			if !slices.Contains(all, path) {
				all = append(all, path)
			}
		}
	}
	for _, r := range h.server.routes() {
		if r.method != "GET" || r.needs == anyone || r.needs != signedIn && !may(r.needs) {
			continue
		}
		for _, config := range []string{h.config.ID, h.gone} {
			for _, seq := range h.entries {
				path := strings.ReplaceAll(r.path, ":seq", strconv.FormatInt(seq, 10))
				path = h.fill(path, config, request, h.readerOf("Vera"), h.Project.Slug)
				add(path)
				switch {
				case strings.HasSuffix(r.path, "/versions"):
					add(path+"?v=1", path+"?v=2", path+"?v=3", path+"?a=1&b=3")
				case strings.HasSuffix(r.path, "/restore"):
					add(path+"?version=2", path+"?version=3")
				case strings.HasSuffix(r.path, "/edit"):
					add(path+"?restore=2", path+"?restore=3")
				case strings.HasSuffix(r.path, "/as-of"):
					add(path+"?entry="+strconv.FormatInt(seq, 10), path+"?at=2100-01-01T00:00")
				}
			}
		}
	}
	for _, q := range []string{"is:drift", "actor:outside", "project:" + h.Project.Slug, "action:auth_config", "config:" + h.config.ID, "-is:denied", "toolkit:slack", "environment:staging", "before:2100-01"} {
		add("/history?q=" + q)
	}
	add("/history?project="+h.Project.ID, "/history?from=2020-01-01", personPath("usr_else")+"/history")
	return all
}

// someRequest is a change request about the config.
func (h *hiding) someRequest() string {
	h.T.Helper()
	for _, e := range h.History(store.HistoryQuery{Action: "change.submitted"}) {
		return e.Request
	}
	r, err := h.Changes.ProposeSwitch(h.T.Context(), h.Person("Author", access.Editor), proposal(h.site), []string{h.config.ID}, false)
	if err != nil {
		h.T.Fatal(err)
	}
	h.Settled(r.ID)
	return r.ID
}

// shown are the paths whose pages show the c4nary.
func (h *hiding) shown(b *browser, paths []string) []string {
	h.T.Helper()
	var found []string
	for _, path := range paths {
		got := b.get(path)
		if got.status >= 500 || got.status == 429 {
			h.T.Errorf("%s: %d", path, got.status)
		}
		if strings.Contains(got.body, c4nary) {
			found = append(found, path)
		}
	}
	return found
}

// sweep compares what people see of the history of a project with and without it
// being theirs to read.
func (h *hiding) sweep(when string, browsers map[access.Role]*browser) {
	h.T.Helper()
	paths, open := map[access.Role][]string{}, map[access.Role][]string{}
	for role, b := range browsers {
		paths[role] = h.paths(role)
		h.server.limits = newLimits(rig.Now)
		open[role] = h.shown(b, paths[role])
		first := h.entries[len(h.entries)-1]
		wanted := []string{
			"/", "/history", entryPath(first), "/history?q=is:drift", asOfPath(h.Project.Slug) + "?entry=" + strconv.FormatInt(first, 10),
			h.page(h.config.ID), h.page(h.config.ID) + "/history", h.page(h.config.ID) + "/versions?a=1&b=3", h.page(h.gone) + "/history",
		}
		if role == access.Editor {
			wanted = append(wanted, h.page(h.config.ID)+"/restore?version=3", h.page(h.config.ID)+"/edit?restore=3", h.page(h.gone)+"/restore")
		}
		for _, want := range wanted {
			if !slices.Contains(open[role], want) && (want != "/" || role != access.Auditor) { // whose overview has their reading
				h.T.Errorf("%s: %s of an open project shows the %s nothing of it", when, want, role)
			}
		}
	}
	h.readBy()
	for role, b := range browsers {
		h.server.limits = newLimits(rig.Now)
		closed := h.shown(b, paths[role])
		switch {
		case role != access.Auditor && len(closed) > 0:
			h.T.Errorf("%s: the %s reads of a closed project: %q", when, role, closed)
		case role == access.Auditor && !slices.Equal(without(open[role], "/"), without(closed, "/")):
			h.T.Errorf("%s: an auditor reads %q instead of %q", when, closed, open[role])
		}
	}
	h.readBy(mirror.ReaderRoles()...)
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}

// Nothing of a project's history is on any page of who may not read it, whatever
// is indexed; by default everybody may.
func TestHiddenHistory(t *testing.T) {
	h := newHiding(t)
	browsers := map[access.Role]*browser{
		access.Viewer: h.as("Vera", access.Viewer), access.Editor: h.as("Emil", access.Editor), access.Approver: h.as("Abe", access.Approver), access.Auditor: h.as("Ayo", access.Auditor),
	}
	h.someRequest()
	release := h.holdIndex()
	h.happens()
	h.sweep("not indexed", browsers)
	release()
	waitFor(t, "the index", func() bool { return h.Store.HistoryIndexed() == h.head() })
	h.sweep("indexed", browsers)
	defer h.holdIndex()()
	h.happens()
	h.sweep("both", browsers)
}

// holdIndex keeps entries out of the index until they are let in.
func (h *hiding) holdIndex() (release func()) {
	h.T.Helper()
	waitFor(h.T, "the index", func() bool { return h.Store.HistoryIndexed() == h.head() })
	db, err := sql.Open("sqlite3", filepath.Join(h.Dir, "history_index.db")+"?_txlock=immediate")
	if err != nil {
		h.T.Fatal(err)
	}
	held, err := db.BeginTx(h.T.Context(), nil)
	if err != nil {
		h.T.Fatal(err)
	}
	return func() {
		if err := errors.Join(held.Rollback(), db.Close()); err != nil {
			h.T.Error(err)
		}
	}
}

// What somebody did themselves in a project that is closed to them stays theirs to
// read, and so does a change request, without links into what is not.
func TestHiddenHistoryOwn(t *testing.T) {
	h := newHiding(t)
	vera, emil := h.as("Vera", access.Viewer), h.as("Emil", access.Editor)
	request := h.someRequest()
	h.happens()
	h.readBy(access.Approver)
	h.record(audit.Event{Actor: h.readerOf("Vera").User.Actor(access.Origin{}), Action: "drift.adopted", Project: h.Project.ID, Reason: "0wnword", Object: audit.Object{Kind: "auth_config", ID: h.config.ID, Name: "own"}})
	own := entryPath(h.head())
	for _, path := range []string{"/", "/history", "/history?q=action:drift", own, personPath(h.readerOf("Vera").ID) + "/history", h.page(h.config.ID) + "/history"} {
		vera.get(path).is(200).has("0wnword")
		if strings.Contains(path, "usr_") {
			continue // of what they did, others see only what they may
		}
		if got := emil.get(path); strings.Contains(got.body, "0wnword") {
			t.Errorf("%s shows it to others", path)
		}
	}
	if got := emil.get(personPath(h.readerOf("Vera").ID) + "/history").is(200); strings.Contains(got.body, "0wnword") {
		t.Error("what she did in it is shown to others")
	}
	emil.get(own).is(404)
	page := vera.get(changePath(request)).is(200).has("Author", "finished")
	if n := page.doc.Find(`a[href^="/history/"], a[href*="as-of"]`).Length(); n > 0 {
		t.Errorf("the request has %d links to what isn't there", n)
	}
	if n := h.as("Abe", access.Approver).get(changePath(request)).is(200).doc.Find(`a[href^="/history/"]`).Length(); n == 0 {
		t.Error("who may read it has no links either")
	}
	if text := vera.get(h.list()).is(200).text(); strings.Contains(text, "As of…") {
		t.Error("the list leads to how it was")
	}
	if text := vera.get(h.page(h.config.ID)).is(200).text(); strings.Contains(text, "Versions") {
		t.Error("the page of a config leads to its versions")
	}
	emil.get(h.page(h.config.ID)).is(200).has("You may not read the history of")
	emil.get(h.page(h.config.ID) + "/history").is(200).has("You may not read the history of")
	h.signedIn("Abe").get(h.list()).is(200).has("As of…")
}

// Drift that is open can be dealt with by who may not read the history that tells
// of it, also of what is gone.
func TestHiddenHistoryDrift(t *testing.T) {
	h := newHiding(t)
	b := h.as("Emil", access.Editor)
	h.readBy(access.Viewer)
	h.drift(h.config.ID, "drifted")
	page := b.get(h.page(h.config.ID)).is(200).has("Changed at Composio directly", "Revert", "Adopt")
	if strings.Contains(page.text(), "entry #") {
		t.Error("the panel leads to the entry")
	}
	revert := b.get(h.page(h.config.ID)+"/restore?drift=1").is(200).has("Revert what was changed outside", "drifted", h.config.Name)
	if n := revert.doc.Find(`a[href*="/versions"]`).Length(); n > 0 {
		t.Errorf("%d links to versions", n)
	}
	h.meddle(sandbox.ProjectEdit{Delete: []string{h.config.ID}})
	versions := h.page(h.config.ID) + "/versions"
	page = b.get(versions+"?v=1").is(200).has("It was deleted at Composio directly", "You may not read the history")
	if page.doc.Find("tr[data-version]").Length() > 0 || strings.Contains(page.text(), "Make it anew") {
		t.Error("the page shows versions")
	}
	b.get(h.page(h.config.ID) + "/restore").is(404)
	b.submit(page, h.page(h.config.ID)+"/drift/adopt", "reason", "nobody used it").is(200).has("Adopted.")
	b.get(versions).is(404)
	h.as("Vera", access.Viewer).get(versions).is(200).has("Version 1")
}

func TestProjectReaders(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	path := projectPath(s.Project.Slug)
	page := b.get(path).is(200).has("Who may read its history", "Viewers, editors, approvers, auditors and admins")
	if got := page.form(path + "/readers")["roles"]; len(got) != 3 {
		t.Errorf("at first %v may read it", got)
	}
	form := page.form(path + "/readers")
	form["roles"] = []string{"editor", "viewer"}
	b.do(b.request("POST", path+"/readers", form)).is(200).has("Saved.", "Viewers, editors, auditors and admins")
	e := s.History(store.HistoryQuery{Action: "project.edited"})[0]
	if got := fmt.Sprintf("%s: %v", e.Actor.Name, e.Changes); got != "Ada: [{history_readers [viewer editor approver] [viewer editor]}]" {
		t.Error(got)
	}
	b.get(entryPath(e.Seq)).is(200).has("Who may read its history")
	b.submit(b.get(path), path+"/readers", "roles", "admin").is(422).has("Choose from the roles")
	again := b.get(path)
	b.submit(again, path+"/readers").is(409).has("Nothing is different")
	none := again.form(path + "/readers")
	none.Del("roles")
	b.do(b.request("POST", path+"/readers", none)).is(200).has("Auditors and admins")
	if p, err := s.Store.Project(t.Context(), s.Project.ID); err != nil || len(p.Readers) != 0 {
		t.Errorf("%v, %v", p.Readers, err)
	}
	s.as("Ayo", access.Auditor).get(path).is(200).has("History read by")
	if n := s.historyOf("project.edited"); n != 2 {
		t.Errorf("%d entries", n)
	}
}

// The chart of the overview counts what its reader may read.
func TestOverviewCounts(t *testing.T) {
	h := newHiding(t)
	vera, ayo := h.as("Vera", access.Viewer), h.as("Ayo", access.Auditor)
	h.happens()
	counted := func(b *browser) (sum int) {
		b.get("/").is(200).doc.Find(`section[aria-label="History entries per day"] td:last-child`).Each(func(_ int, cell *goquery.Selection) {
			n, err := strconv.Atoi(strings.ReplaceAll(cell.Text(), ",", ""))
			if err != nil {
				t.Error(err)
			}
			sum += n
		})
		return sum
	}
	q, err := h.Store.Readable(t.Context(), h.readerOf("Vera").User, store.HistoryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	open := len(h.History(q))
	if n := counted(vera); n != open || n == int(h.head()) {
		t.Errorf("a viewer's chart has %d of %d entries, %d are theirs to read", n, h.head(), open)
	}
	h.readBy()
	if n := counted(vera); n != 0 {
		t.Errorf("the chart has %d entries of a closed project", n)
	}
	if n := counted(ayo); n != int(h.head()) {
		t.Errorf("an auditor's chart has %d of %d entries", n, h.head())
	}
}
