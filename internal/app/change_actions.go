package app

import (
	"errors"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/change"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/web/templates"
)

// changeApply lets an approved request be applied, or tries a failed one again.
func (s *Server) changeApply(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	r, err := s.changes.Release(c.Request().Context(), reader(c), c.Param("id"))
	if err != nil {
		return err
	}
	return s.followed(c, r, changePath(r.ID))
}

// changeRebase brings a request up to date with what changed at Composio.
func (s *Server) changeRebase(c echo.Context) error {
	var in struct {
		Version string            `form:"version"`
		Keep    map[string]string `form:"keep.*"` // by item/field: mine or theirs
		Drop    []string          `form:"drop"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	choices := change.Choices{Theirs: map[int][]string{}}
	for name, which := range in.Keep {
		item, field, _ := strings.Cut(name, "/")
		n, err := strconv.Atoi(item)
		if err != nil {
			return malformed("it doesn't say what to keep")
		}
		if which == "theirs" {
			choices.Theirs[n] = append(choices.Theirs[n], field)
		}
	}
	for _, d := range in.Drop {
		n, err := strconv.Atoi(d)
		if err != nil {
			return malformed("it doesn't say what to leave out")
		}
		choices.Drop = append(choices.Drop, n)
	}
	version, err := strconv.ParseInt(in.Version, 10, 64)
	if err != nil {
		return malformed("it doesn't say which version it is about")
	}
	r, err := s.changes.Rebase(c.Request().Context(), reader(c), c.Param("id"), version, choices)
	var moved *change.MovedOn
	if errors.As(err, &moved) {
		return s.changeMoved(c, c.Param("id"), moved.Saw)
	}
	if err != nil {
		return err
	}
	return s.followed(c, r, changePath(r.ID))
}

// changeCancel ends a request before anything is sent, or closes a failed one.
func (s *Server) changeCancel(c echo.Context) error {
	var in struct {
		Reason string `form:"reason"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.changes.Cancel(c.Request().Context(), reader(c), c.Param("id"), in.Reason)
	if problem.Is(err, problem.Invalid) {
		return s.changeAgain(c, c.Param("id"), "cancel", err)
	}
	if err != nil {
		return err
	}
	return s.see(c, changePath(r.ID), "Cancelled. Nothing more is sent.")
}

// changeSettle records what a person says became of an item.
func (s *Server) changeSettle(c echo.Context) error {
	var in struct {
		Item    string `form:"item"`
		Outcome string `form:"outcome"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	item, err := strconv.Atoi(in.Item)
	if err != nil || in.Outcome != "happened" && in.Outcome != "not" {
		return malformed("it doesn't say what happened to what")
	}
	r, err := s.changes.Decide(c.Request().Context(), reader(c), c.Param("id"), item, in.Outcome == "happened")
	if err != nil {
		return err
	}
	return s.followed(c, r, changePath(r.ID))
}

// reviewed sends the reader back to a request's page after a vote, or shows what
// changed since they looked.
func (s *Server) vote(c echo.Context, d change.Decision, done string) error {
	var in struct {
		Effect string `form:"effect"`
		Reason string `form:"reason"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	id := c.Param("id")
	r, err := s.changes.Vote(c.Request().Context(), reader(c), id, change.Ballot{Decision: d, EffectHash: in.Effect, Reason: in.Reason})
	var moved *change.MovedOn
	switch {
	case errors.As(err, &moved):
		return s.changeMoved(c, id, moved.Saw)
	case problem.Is(err, problem.Invalid):
		return s.changeAgain(c, id, string(d), err)
	case err != nil:
		return err
	}
	if r.Approvals.Need > 0 && d == change.Approve {
		done += " " + progressWords(r.Approvals)
	}
	return s.see(c, changePath(r.ID), done)
}

func (s *Server) changeApprove(c echo.Context) error {
	return s.vote(c, change.Approve, "You approved it.")
}
func (s *Server) changeReject(c echo.Context) error {
	return s.vote(c, change.Reject, "You rejected it. Nothing will be sent.")
}
func (s *Server) changeRequestChanges(c echo.Context) error {
	return s.vote(c, change.RequestChanges, "You asked for changes.")
}
func (s *Server) changeWithdraw(c echo.Context) error {
	return s.vote(c, change.Withdraw, "Your vote is taken back.")
}

// changeAgain shows a request's page with the complaints of one of its forms.
func (s *Server) changeAgain(c echo.Context, id, action string, complaint error) error {
	r, err := s.findRequest(c, id)
	if err != nil {
		return err
	}
	return s.changePage(c, r, changeState{action: action, complaint: complaint})
}

// changeMoved shows what changed since somebody looked at a request.
func (s *Server) changeMoved(c echo.Context, id, saw string) error {
	r, err := s.findRequest(c, id)
	if err != nil {
		return err
	}
	b, err := s.changeBuilder(c, r)
	if err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "Changed since you looked", nav: "Changes", crumbs: []templates.LinkView{{Text: "Changes", URL: "/changes"}, {Text: r.Title, URL: templates.Local(changePath(r.ID))}}})
	if err != nil {
		return err
	}
	noStore(c)
	return show(c, status[problem.Conflict], templates.Moved(b.moved(frame, saw)))
}

// changeSubmit hands a draft in.
func (s *Server) changeSubmit(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	r, err := s.changes.Submit(c.Request().Context(), reader(c), c.Param("id"))
	if problem.Is(err, problem.Conflict) || problem.Is(err, problem.Invalid) {
		return s.changeAgain(c, c.Param("id"), "submit", err)
	}
	if err != nil {
		return err
	}
	return s.followed(c, r, changePath(r.ID))
}

// changeSchedule sets when an approved request is applied.
func (s *Server) changeSchedule(c echo.Context) error {
	var in struct {
		At   string `form:"at"`
		Zone string `form:"zone"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.changes.Schedule(c.Request().Context(), reader(c), c.Param("id"), in.At, in.Zone)
	if problem.Is(err, problem.Invalid) {
		return s.changeAgain(c, c.Param("id"), "schedule", err)
	}
	if err != nil {
		return err
	}
	return s.see(c, changePath(r.ID), "Scheduled for "+exact(r.ApplyAfter).Text+".")
}

// changeUnschedule takes a request from its schedule.
func (s *Server) changeUnschedule(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	r, err := s.changes.Unschedule(c.Request().Context(), reader(c), c.Param("id"))
	if err != nil {
		return err
	}
	return s.see(c, changePath(r.ID), "Taken from its schedule. It stays approved.")
}

// changeRevert proposes to undo what a request did.
func (s *Server) changeRevert(c echo.Context) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	r, err := s.changes.Revert(c.Request().Context(), reader(c), c.Param("id"))
	if err != nil {
		return err
	}
	return s.followed(c, r, changePath(r.ID))
}

// changeComment adds a remark, on a field where "about" names one as item/field.
func (s *Server) changeComment(c echo.Context) error {
	var in struct {
		About   string `form:"about"`
		Text    string `form:"text"`
		Comment string `form:"comment"` // that is edited
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	ctx, id, by := c.Request().Context(), c.Param("id"), reader(c)
	var err error
	if in.Comment != "" {
		err = s.changes.EditComment(ctx, by, id, in.Comment, in.Text)
	} else {
		item, field, _ := strings.Cut(in.About, "/")
		n, _ := strconv.Atoi(item) // the first, where it names none
		err = s.changes.Comment(ctx, by, id, n, field, in.Text)
	}
	if problem.Is(err, problem.Invalid) {
		return s.changeAgain(c, id, "comment", err)
	}
	if err != nil {
		return err
	}
	return s.see(c, changePath(id)+"#discussion", "")
}

// changeBypass applies a request without the approvals that it lacks.
func (s *Server) changeBypass(c echo.Context) error {
	var in struct {
		Effect   string `form:"effect"`
		Incident string `form:"incident"`
		Reason   string `form:"reason"`
		Confirm  string `form:"confirm"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.changes.BreakGlass(c.Request().Context(), reader(c), c.Param("id"), change.Emergency{Effect: in.Effect, Incident: in.Incident, Reason: in.Reason, Name: in.Confirm})
	var moved *change.MovedOn
	if errors.As(err, &moved) {
		return s.changeMoved(c, c.Param("id"), moved.Saw)
	}
	if problem.Is(err, problem.Invalid) || problem.Is(err, problem.Forbidden) || problem.Is(err, problem.Conflict) {
		return s.changeAgain(c, c.Param("id"), "bypass", err)
	}
	if err != nil {
		return err
	}
	return s.followed(c, r, changePath(r.ID))
}

// changeReview records what somebody says of a bypass afterwards.
func (s *Server) changeReview(c echo.Context) error {
	var in struct {
		Verdict string `form:"verdict"`
		Comment string `form:"comment"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	if in.Verdict != "fine" && in.Verdict != "wrong" {
		return malformed("it doesn't say whether it was right")
	}
	id := c.Param("id")
	err := s.changes.ReviewBypass(c.Request().Context(), reader(c), id, in.Verdict == "fine", in.Comment)
	if problem.Is(err, problem.Invalid) {
		return s.changeAgain(c, id, "review", err)
	}
	if err != nil {
		return err
	}
	return s.see(c, changePath(id), "Your review is recorded.")
}

func (s *Server) changeWatch(c echo.Context) error   { return s.watch(c, true) }
func (s *Server) changeUnwatch(c echo.Context) error { return s.watch(c, false) }

func (s *Server) watch(c echo.Context, on bool) error {
	if err := decode(c, &struct{}{}); err != nil {
		return err
	}
	id := c.Param("id")
	if err := s.changes.Watch(c.Request().Context(), reader(c), id, on); err != nil {
		return err
	}
	if on {
		return s.see(c, changePath(id), "You will hear of it.")
	}
	return s.see(c, changePath(id), "You won't hear of it any more, unless you take part.")
}

// changeMatch compares a value with a credential that waits.
func (s *Server) changeMatch(c echo.Context) error {
	var in struct {
		Item  string       `form:"item"`
		Field string       `form:"field"`
		Value secret.Value `form:"secret.value"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.findRequest(c, c.Param("id"))
	if err != nil {
		return err
	}
	item, err := strconv.Atoi(in.Item)
	if err != nil {
		return malformed("it doesn't say which credential")
	}
	same, err := s.changes.Match(c.Request().Context(), reader(c), r.ID, item, in.Field, in.Value)
	if err != nil && !problem.Is(err, problem.Invalid) && !problem.Is(err, problem.TooMany) {
		return err
	}
	state := changeState{action: "match " + in.Item + " " + in.Field, complaint: err}
	if err == nil {
		state.matched = map[string]templates.NoticeView{in.Item + " " + in.Field: matchNotice(same)}
	}
	noStore(c)
	return s.changePage(c, r, state)
}

func matchNotice(same bool) templates.NoticeView {
	if same {
		return templates.NoticeView{Tone: "good", Text: "Match: this is the value that waits."}
	}
	return templates.NoticeView{Tone: "warn", Text: "No match: the value that waits is another one."}
}
