package app

import (
	"errors"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

const versionsPerPage = 50

// configVersions lists the versions of a config. ?v= shows one of them, ?a= and
// ?b= the difference between two.
func (s *Server) configVersions(c echo.Context) error {
	v, err := s.versionsView(c, driftState{})
	if err != nil {
		return err
	}
	return page(c, templates.Versions(v))
}

// versionsView is the page of the versions of a config. Of one that is gone it
// also holds what was changed outside, with what was typed into the form.
func (s *Server) versionsView(c echo.Context, state driftState) (v templates.VersionsView, err error) {
	p, frame, head, err := s.pastPage(c, "Versions")
	if err != nil {
		return v, err
	}
	v = templates.VersionsView{Page: frame, Head: head, Action: templates.Local(p.versionsPath())}
	if !p.exists {
		if v.Drift, err = s.driftView(c, p.project, p.id, state); err != nil {
			return v, err
		}
	}
	if closed := mayLookBack(c, p.project); closed != nil {
		if p.exists {
			return v, closed
		}
		v.Closed = "You may not read the history of " + p.project.Name + ", so its versions are not shown. An admin says which roles may."
		return v, nil
	}
	one, err := versionParam(c, "v")
	if err == nil && one > 0 {
		v.One, err = s.versionView(c, p, one)
	}
	if err != nil {
		return v, err
	}
	a, aerr := versionParam(c, "a")
	b, berr := versionParam(c, "b")
	if err := errors.Join(aerr, berr); err != nil {
		return v, err
	}
	if a > 0 && b > 0 {
		if v.Compare, err = s.compareView(c, p, a, b); err != nil {
			return v, err
		}
	}
	if v.Rows, err = s.versionRows(c, p, &v.Pager); err != nil {
		return v, err
	}
	if a == 0 || b == 0 {
		a, b = max(1, p.versions()-1), p.versions()
	}
	for i := range v.Rows {
		v.Rows[i].A, v.Rows[i].B = v.Rows[i].Number == strconv.Itoa(a), v.Rows[i].Number == strconv.Itoa(b)
	}
	return v, nil
}

// versionRows lists a page of versions, the newest first.
func (s *Server) versionRows(c echo.Context, p pastConfig, pager *templates.PagerView) ([]templates.VersionRowView, error) {
	ctx := c.Request().Context()
	newest := p.versions()
	if before, err := versionParam(c, "before"); err == nil && before > 1 { // before the first there is none
		newest = min(newest, before-1)
		pager.Previous = templates.Local(p.versionsPath())
	}
	oldest := max(1, newest-versionsPerPage+1)
	if oldest > 1 {
		pager.Next = templates.Local(p.versionsPath() + "?before=" + strconv.Itoa(oldest))
	}
	pager.Text = number(newest-oldest+1) + " of " + plural(p.versions(), "version", "versions")
	b, err := s.entryBuilder(c)
	if err != nil {
		return nil, err
	}
	var steps []mirror.Step
	if n := p.step(newest); n > 0 {
		last, err := s.store.ConfigStep(ctx, p.project.ID, p.id, n)
		if err != nil {
			return nil, err
		}
		if steps, err = s.store.ConfigSteps(ctx, p.project.ID, p.id, last.Seq, min(n, newest-oldest+1)); err != nil {
			return nil, err
		}
	}
	if oldest == 1 && p.read {
		first := mirror.Step{Kind: mirror.StepRead}
		if first.Time, first.Seq, err = s.store.FirstRead(ctx, p.project.ID); err != nil {
			return nil, err
		}
		steps = append(steps, first)
	}
	rows := make([]templates.VersionRowView, len(steps))
	for i, step := range steps {
		if rows[i], err = s.versionRow(c, b, p, newest-i, step); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (s *Server) versionRow(c echo.Context, b entryBuilder, p pastConfig, version int, step mirror.Step) (templates.VersionRowView, error) {
	number := strconv.Itoa(version)
	v := templates.VersionRowView{
		Number: number, See: templates.Local(p.versionsPath() + "?v=" + number), At: exact(step.Time),
		Sentence: templates.SentenceView{Who: "Gatehouse", Did: "read it for the first time"},
	}
	if step.Seq > 0 {
		v.Seq, v.Entry = strconv.FormatInt(step.Seq, 10), templates.Local(entryPath(step.Seq))
		v.Then = asOfEntry(p.project.Slug, step.Seq)
	}
	if step.Kind != mirror.StepRead {
		found, err := s.store.HistoryEntry(c.Request().Context(), step.Seq)
		switch {
		case problem.Is(err, problem.NotFound):
			v.Sentence = templates.SentenceView{Did: "The entry that tells is kept in an archive."}
		case err != nil:
			return v, err
		default:
			e := b.entry(found)
			v.Sentence, v.Short = e.Sentence, e.Short
		}
	}
	switch {
	case step.Kind == mirror.StepGone:
		v.Badge = templates.BadgeView{Text: "Deleted", Tone: "bad"}
	case version == p.versions() && p.exists:
		v.Badge = templates.BadgeView{Text: "Now", Tone: "good"}
	case mayPropose(c, p.project):
		v.Restore = templates.Local(restorePath(p, version))
	}
	return v, nil
}

func restorePath(p pastConfig, version int) string {
	return p.path() + "/restore?version=" + strconv.Itoa(version)
}

// versionView is one version with all its fields.
func (s *Server) versionView(c echo.Context, p pastConfig, version int) (templates.VersionView, error) {
	step, state, err := s.versionState(c, p, version)
	if err != nil {
		return templates.VersionView{}, err
	}
	v := templates.VersionView{Title: "Version " + strconv.Itoa(version), At: exact(step.Time)}
	if step.Seq > 0 {
		v.Then = asOfEntry(p.project.Slug, step.Seq)
	}
	if !state.Exists {
		v.Gone = "It did not exist any more."
		return v, nil
	}
	if mayPropose(c, p.project) && (version < p.versions() || !p.exists) {
		v.Restore = templates.Local(restorePath(p, version))
	}
	for _, f := range [][2]string{{"Toolkit", state.Toolkit}, {"Scheme", state.Scheme}, {"Type", typeWords(state.Type)}} {
		if f[1] == "" {
			f[1] = notKnown
		}
		v.Fields = append(v.Fields, templates.VersionFieldView{Name: f[0], Text: f[1]})
	}
	for _, f := range mirror.AllFields() {
		v.Fields = append(v.Fields, versionField(f, state))
	}
	return v, nil
}

// notKnown is said of what history doesn't tell.
const notKnown = "not known"

func typeWords(kind string) string {
	switch kind {
	case mirror.ManagedType:
		return ownerLong(true)
	case mirror.OwnType:
		return ownerLong(false)
	}
	return ""
}

func versionField(f string, state mirror.State) templates.VersionFieldView {
	v := templates.VersionFieldView{Name: fieldLabel(f), None: "empty"}
	value, known := state.Values[f]
	switch {
	case !known:
		v.None = notKnown
	case mirror.ListField(f):
		v.Values, v.None = value, "none"
	case f == mirror.FieldStatus && len(value) > 0:
		v.Text = statusBadge(value[0]).Text
	default:
		v.Text = strings.Join(value, ", ")
	}
	return v
}

// compareView is the difference between two versions.
func (s *Server) compareView(c echo.Context, p pastConfig, a, b int) (templates.CompareView, error) {
	_, before, err := s.versionState(c, p, a)
	if err != nil {
		return templates.CompareView{}, err
	}
	_, after, err := s.versionState(c, p, b)
	if err != nil {
		return templates.CompareView{}, err
	}
	changes, unknown := mirror.Compare(before, after)
	v := templates.CompareView{Title: "Version " + strconv.Itoa(a) + " and version " + strconv.Itoa(b), Same: "No field that can be read differs."}
	v.Diff = changesDiff(changes)
	v.Diff.Before, v.Diff.After = "Version "+strconv.Itoa(a), "Version "+strconv.Itoa(b)
	if len(unknown) > 0 {
		v.Unknown = "Not known in one of them: " + listed(fieldNames(unknown), "and") + "."
	}
	return v, nil
}

func fieldNames(fields []string) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = fieldLabel(f)
	}
	return out
}
