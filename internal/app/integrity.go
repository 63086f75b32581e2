package app

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/witness"
	"gatehouse/web/templates"
)

const (
	integrityPath  = "/history/integrity"
	checkpointPath = "/history/checkpoint"
)

// unsignedFor is how long no checkpoint may be signed before the badge says so: a
// console that is well signs every hour at least.
const unsignedFor = 2 * time.Hour

// integrityBadge says whether history is as it was written.
func (s *Server) integrityBadge() templates.IntegrityView {
	known := s.witness.Known()
	v := templates.IntegrityView{URL: integrityPath}
	switch {
	case known.Problem != nil:
		v.Tone, v.Text = "bad", "Not as it was written"
	case known.At.IsZero():
		v.Text = "Not verified yet"
	case s.now().Sub(known.SignedAt) > unsignedFor:
		v.Tone, v.Text, v.At = "warn", "Not signed since", ago(known.SignedAt, s.now())
	case known.Since > 0: // what is before was right when it was signed
		v.Text, v.At = "Verified since #"+number(int(known.Since)), ago(known.At, s.now())
	default:
		v.Tone, v.Text, v.At = "good", "Verified to #"+number(int(known.Size)), ago(known.At, s.now())
	}
	return v
}

// checkpointsShown is how many checkpoints the page lists.
const checkpointsShown = 20

// integrity is the page about history's integrity.
func (s *Server) integrity(c echo.Context) error {
	frame, err := s.frame(c, place{title: "Integrity", nav: "History", crumbs: []templates.LinkView{{Text: "History", URL: "/history"}}})
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	known := s.witness.Known()
	anchors, err := s.witness.Anchors(ctx)
	if err != nil {
		return err
	}
	last, err := s.store.Checkpoints(ctx, checkpointsShown)
	if err != nil {
		return err
	}
	may := reader(c).May(access.ViewSettings)
	v := templates.IntegrityPageView{
		Page: frame, Problem: integrityProblem(known, may), Badge: s.integrityBadge(), PublicKey: s.witness.PublicKey(),
		Facts: integrityFacts(known, s.now()), Growth: s.growthFacts(c),
	}
	if may {
		v.Verify = s.newForm(c, integrityPath+"/verify")
		if v.Archives, err = s.archivesView(ctx); err != nil {
			return err
		}
	}
	for i, a := range anchors {
		one := anchorView(a, last, s.now())
		if !may { // where it is and how it fails is the operator's
			one.Name, one.Problem, one.Note = "Anchor "+strconv.Itoa(i+1), "", ""
		}
		v.Anchors = append(v.Anchors, one)
	}
	for _, one := range last {
		v.Checkpoints = append(v.Checkpoints, checkpointView(one))
	}
	if len(last) > 0 {
		v.Download = checkpointPath
	}
	noStore(c)
	return page(c, templates.IntegrityPage(v))
}

// integrityProblem says what is wrong and what to do about it, to who may see
// settings; others learn that something is.
func integrityProblem(known witness.Knowledge, may bool) templates.NoticeView {
	switch {
	case known.Problem == nil:
		return templates.NoticeView{}
	case !may:
		return templates.NoticeView{Tone: "bad", Title: "History is not as it was written.", Text: "Tell an auditor or an admin: this page says more to them."}
	}
	return templates.NoticeView{
		Tone: "bad", Title: "History is not as it was written.",
		Text: capital(known.Problem.Error()) + ". Keep a copy of the database as it is now, find out who could write to it, and compare it with a backup and with the checkpoints at the anchors. docs/audit.md says how.",
	}
}

func integrityFacts(known witness.Knowledge, now time.Time) []templates.FactView {
	whole := templates.FactView{Name: "Everything at once", Time: ago(known.WholeAt, now)}
	if known.Verifying {
		whole = templates.FactView{Name: "Everything at once", Text: "Under way"}
	}
	return []templates.FactView{
		{Name: "Verified to", Text: "Entry " + number(int(known.Size))},
		{Name: "Last verified", Time: ago(known.At, now)},
		whole,
		{Name: "How often", Text: "New entries within a minute, everything after each start and once a day"},
	}
}

func anchorView(a witness.Anchor, last []audit.Signed, now time.Time) templates.AnchorView {
	v := templates.AnchorView{Name: a.Name, OK: ago(a.OKAt, now), Failed: ago(a.FailedAt, now), State: templates.BadgeView{Text: "Up to date", Tone: "good"}}
	switch {
	case a.FailedAt.After(a.OKAt):
		v.State, v.Problem = templates.BadgeView{Text: "Failing", Tone: "bad"}, a.Problem
	case len(last) == 0 || a.Reached == 0:
		v.State = templates.BadgeView{Text: "Nothing delivered yet"}
	case a.Reached < last[0].ID:
		v.State = templates.BadgeView{Text: "Behind", Tone: "warn"}
	}
	if a.Beside {
		v.Note = "This file lies beside the database: whoever can change one can change the other. An operator names another place with CONSOLE_ANCHOR."
	}
	return v
}

var signedFor = map[string]string{
	witness.ForNews: "New entries", witness.ForDecision: "A decision or its outcome", witness.ForIdle: "Nothing happened", witness.ForRestore: "History was taken back",
	witness.ForArchive: "Entries leave for an archive", witness.ForEvidence: "An evidence pack was made", "review": "A review was closed",
}

func checkpointView(c audit.Signed) templates.CheckpointView {
	if c.Size == 0 {
		return templates.CheckpointView{Entries: "–", Why: "This is no checkpoint", At: exact(c.At), Root: "–"}
	}
	return templates.CheckpointView{Entries: number(int(c.Size)), Why: signedFor[c.Why], At: exact(c.At), Root: c.Root.String()[:16] + "…"}
}

// growthFacts say how fast history grows, where that can be worked out: rows may
// be missing, and this page is where one learns of it.
func (s *Server) growthFacts(c echo.Context) []templates.FactView {
	g, err := s.store.HistoryGrowth(c.Request().Context(), s.now())
	if err != nil {
		s.log.Error("work out how history grows", "err", err)
		s.witness.AskVerify()
		return []templates.FactView{{Name: "Growth", Text: "Not known: entries are missing"}}
	}
	return []templates.FactView{
		{Name: "Entries in the database", Text: number(int(g.Entries))},
		{Name: "Over the last 30 days", Text: number(int(g.PerDay)) + " a day"},
		{Name: "At this rate", Text: "about " + size(g.PerYear) + " more in a year, search index and checkpoints included"},
		{Name: "Entries stay", Text: keptFor(s.archive.State())},
	}
}

// size writes a number of bytes.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return strconv.FormatFloat(float64(n)/1e9, 'f', 1, 64) + " GB"
	case n >= 1e6:
		return number(int(n/1e6)) + " MB"
	}
	return number(int(n/1e3)) + " kB"
}

// integrityVerify has everything verified.
func (s *Server) integrityVerify(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	event := audit.Event{Actor: reader(c).Actor(), Action: "history.verify_asked", Object: audit.Object{Kind: "history", Name: "history"}}
	if err := s.store.Record(c.Request().Context(), event); err != nil {
		return err
	}
	s.witness.AskVerify()
	return s.see(c, integrityPath, "All of history is being verified. The outcome will be here.")
}

// checkpoint hands out the newest checkpoint.
func (s *Server) checkpoint(c echo.Context) error {
	last, err := s.store.LatestCheckpoint(c.Request().Context())
	if err != nil {
		return err
	}
	if last.ID == 0 {
		return problem.New(problem.NotFound, "There is no checkpoint yet. One is signed within a minute.")
	}
	if err := beforeShown(c); err != nil {
		return err
	}
	noStore(c)
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="checkpoint.txt"`)
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", last.Note)
}
