package app

import (
	"bytes"
	"encoding/csv"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/evidence"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

var accessReviewCrumbs = []templates.LinkView{{Text: "People", URL: "/people"}, {Text: "Access reviews", URL: accessReviewsPath}}

// accessReviews lists reviews of who may do what.
func (s *Server) accessReviews(c echo.Context) error { return s.accessReviewsPage(c, "", nil) }

func (s *Server) accessReviewsPage(c echo.Context, name string, complaint error) error {
	frame, err := s.frame(c, place{title: "Access reviews", nav: "People", crumbs: accessReviewCrumbs[:1]})
	if err != nil {
		return err
	}
	all, err := s.store.AccessReviews(c.Request().Context())
	if err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	v := templates.AccessReviewsView{Page: frame, Tabs: peopleTabs(c, "Access reviews"), Complaints: complaintsView(complaint, fieldLabels)}
	for _, r := range all {
		v.Rows = append(v.Rows, templates.AccessReviewLineView{
			Name: r.Name, URL: templates.Local(accessReviewPath(r.ID)), State: reviewState(r),
			Text: "Opened by " + n.of(r.OpenedBy) + " on " + exact(r.OpenedAt).Full + ". " + number(len(r.Rows)-r.Undecided()) + " of " + plural(len(r.Rows), "person", "people") + " decided.",
		})
	}
	if reader(c).May(access.ManagePeople) {
		if typed := s.typed(c); typed.Has("name") && complaint == nil {
			name = typed.Get("name")
		}
		v.Form = s.newForm(c, accessReviewsPath)
		v.Name = templates.InputView{Name: "name", Label: "Name", Value: name, Required: true, Complete: "off", Hint: "Everybody is listed with their rights as they are now.", Complaint: fieldComplaints(complaint)["name"]}
	}
	if complaint != nil {
		return again(c, templates.AccessReviews(v))
	}
	return page(c, templates.AccessReviews(v))
}

func reviewState(r access.Review) templates.BadgeView {
	if r.Open() {
		return templates.BadgeView{Text: "Open", Tone: "info"}
	}
	return templates.BadgeView{Text: "Closed", Tone: "good"}
}

// accessReviewOpen opens a review of everybody.
func (s *Server) accessReviewOpen(c echo.Context) error {
	var in struct {
		Name string `form:"name"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	r, err := s.access.OpenReview(c.Request().Context(), reader(c), in.Name)
	if problem.Is(err, problem.Invalid) {
		return s.accessReviewsPage(c, in.Name, err)
	}
	if err != nil {
		return err
	}
	return s.see(c, accessReviewPath(r.ID), "Opened. Decide about each person.")
}

// verdictForm is what is typed about one person of a review.
type verdictForm struct {
	User    string `form:"user"`
	Verdict string `form:"verdict"`
	Comment string `form:"comment"`
}

// closingForm is what is typed at the end of a review.
type closingForm struct {
	Conclusion string `form:"conclusion"`
	Left       string `form:"left"`
}

// accessTyped is what was typed on the page of a review.
type accessTyped struct {
	verdict   verdictForm
	closing   closingForm
	complaint error
}

// accessReview shows a review: each person with their rights, and what was decided.
func (s *Server) accessReview(c echo.Context) error {
	var in accessTyped
	if typed := s.typed(c); typed != nil {
		in.verdict = verdictForm{User: typed.Get("user"), Comment: typed.Get("comment")}
		in.closing = closingForm{Conclusion: typed.Get("conclusion"), Left: typed.Get("left")}
	}
	return s.accessReviewPage(c, in)
}

func (s *Server) accessReviewPage(c echo.Context, in accessTyped) error {
	r, err := s.store.AccessReview(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: r.Name, nav: "People", crumbs: accessReviewCrumbs})
	if err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	people, err := s.store.Users(c.Request().Context())
	if err != nil {
		return err
	}
	wrong := fieldComplaints(in.complaint)
	v := templates.AccessReviewView{
		Page: frame, Name: r.Name, State: reviewState(r), Complaints: complaintsView(in.complaint, fieldLabels), Facts: accessReviewFacts(r, n),
		Decided: number(len(r.Rows)-r.Undecided()) + " of " + plural(len(r.Rows), "person", "people") + " decided",
	}
	for _, row := range r.Rows {
		v.Rows = append(v.Rows, s.reviewRow(c, &r, row, people, n, in.verdict, wrong["comment"]))
	}
	path := accessReviewPath(r.ID)
	if !r.Open() {
		v.CSV, v.File = templates.Local(path+"/report.csv"), templates.Local(path+"/report.json")
	} else if reader(c).May(access.ManagePeople) {
		v.Close = s.newForm(c, path+"/close")
		v.Conclusion = templates.InputView{Name: "conclusion", Label: "What it came to", Value: in.closing.Conclusion, Required: true, Rows: 2, Complaint: wrong["conclusion"]}
		if r.Undecided() > 0 {
			v.Left = templates.InputView{Name: "left", Label: "Why people are left undecided", Value: in.closing.Left, Optional: true, Rows: 2, Complaint: wrong["left"], Hint: "Needed as long as somebody is undecided."}
		}
	}
	if in.complaint != nil {
		return again(c, templates.AccessReview(v))
	}
	return page(c, templates.AccessReview(v))
}

func accessReviewFacts(r access.Review, n names) []templates.FactView {
	facts := []templates.FactView{
		{Name: "Opened", Text: "by " + n.of(r.OpenedBy) + ", " + exact(r.OpenedAt).Full}, {Name: "List at the beginning", Code: "sha256:" + r.Set},
	}
	if r.Open() {
		return facts
	}
	facts = append(facts, templates.FactView{Name: "Closed", Text: "by " + n.of(r.ClosedBy) + ", " + exact(r.ClosedAt).Full}, templates.FactView{Name: "What it came to", Text: r.Conclusion})
	if r.LeftReason != "" {
		facts = append(facts, templates.FactView{Name: "Left undecided", Text: r.LeftReason})
	}
	return append(facts, templates.FactView{Name: "Report", Code: "sha256:" + r.Report})
}

// reviewRow is one person of a review, with the form to decide if that is the
// reader's.
func (s *Server) reviewRow(c echo.Context, r *access.Review, row access.ReviewRow, people []access.User, n names, in verdictForm, complaint string) templates.AccessReviewRowView {
	v := templates.AccessReviewRowView{
		ID:   row.User,
		Name: n.of(row.User), URL: templates.Local(personPath(row.User)), State: userBadge(row.State), LastSignIn: lastSignIn(row.LastSignIn), Rights: heldWords(row.Rights, n),
	}
	if at := slices.IndexFunc(people, func(u access.User) bool { return u.ID == row.User }); at >= 0 && !slices.Equal(access.ReviewRights(people[at]), row.Rights) {
		v.Changed = "Changed since. Now: " + noneOr(heldWords(access.ReviewRights(people[at]), n))
	}
	switch row.Verdict {
	case access.Confirmed:
		v.Verdict = templates.BadgeView{Text: "Confirmed", Tone: "good"}
	case access.Revoked:
		v.Verdict = templates.BadgeView{Text: "Revoked", Tone: "warn"}
		v.Request, v.Stays = templates.Local(changePath(row.Request)), s.stayWords(row.Stays, n)
	default:
		v.Verdict = templates.BadgeView{Text: "Undecided"}
	}
	if row.Verdict != "" {
		v.By = n.of(row.By) + ", " + exact(row.At).Full
		v.Comment = row.Comment
	}
	if r.Open() && row.User == reader(c).ID && reader(c).May(access.ManagePeople) {
		v.Note = "Somebody else decides about you."
	}
	if _, err := r.Decides(reader(c), row.User); err == nil {
		v.Form, v.User = s.newForm(c, accessReviewPath(r.ID)+"/decide"), row.User
		v.Input = templates.InputView{Name: "comment", ID: "comment-" + row.User, Label: "Why", Optional: true, Complete: "off"}
		if in.User == row.User {
			v.Input.Value, v.Input.Complaint = in.Comment, complaint
			v.Input.ID = "comment"
		}
	}
	return v
}

func noneOr(all []string) string {
	if len(all) == 0 {
		return "no role."
	}
	return strings.Join(all, "; ") + "."
}

func lastSignIn(t time.Time) string {
	if t.IsZero() {
		return "Never"
	}
	return exact(t).Full
}

// heldWords say what somebody holds, and what gives it.
func heldWords(all []access.ReviewRight, n names) []string {
	var out []string
	for _, g := range all {
		words := grantWords(g.Grant, n)
		if g.Through != "" {
			words += ", by the group " + n.of(g.Through)
		}
		out = append(out, words)
	}
	return out
}

// stayWords say what somebody goes on holding, and who keeps the group of it.
func (s *Server) stayWords(all []access.ReviewRight, n names) []string {
	var out []string
	for _, g := range all {
		keeper := "the directory"
		if provider, ok := strings.CutPrefix(g.Source, access.ProviderMethod("")); ok {
			keeper = s.signon.Name(provider)
		}
		out = append(out, "Still has "+grantWords(g.Grant, n)+" through "+n.of(g.Through)+", which "+keeper+" keeps.")
	}
	return out
}

// accessReviewDecide confirms somebody's rights, or asks to take their roles.
func (s *Server) accessReviewDecide(c echo.Context) error {
	var in verdictForm
	if err := decode(c, &in); err != nil {
		return err
	}
	ctx, id := c.Request().Context(), c.Param("id")
	r, err := s.store.AccessReview(ctx, id)
	if err != nil {
		return err
	}
	if _, err := r.Decides(reader(c), in.User); err != nil {
		return err
	}
	done := "Confirmed."
	switch access.Verdict(in.Verdict) {
	case access.Confirmed:
		err = s.access.Confirm(ctx, reader(c), id, in.User, in.Comment)
	case access.Revoked:
		err = s.revoke(c, in)
		done = "Revoked. The change request that takes their roles is linked below."
	default:
		return problem.New(problem.Invalid, "Choose to confirm or to revoke. Nothing was changed.")
	}
	if problem.Is(err, problem.Invalid) {
		return s.accessReviewPage(c, accessTyped{verdict: in, complaint: err})
	}
	if err != nil {
		return err
	}
	return s.see(c, accessReviewPath(id)+"#"+in.User, done)
}

// revoke asks for somebody to have no roles any more.
func (s *Server) revoke(c echo.Context, in verdictForm) error {
	r, err := s.changes.Revoke(c.Request().Context(), reader(c), c.Param("id"), in.User, in.Comment)
	if p := problem.Of(err); p != nil && p.Kind == problem.Invalid {
		return problem.InvalidFields(p.Message, map[string]string{"comment": strings.Join(slices.Sorted(maps.Values(p.Fields)), " ")})
	}
	if err == nil {
		_, err = s.restedRule(c, r)
	}
	return err
}

// accessReviewClose closes a review.
func (s *Server) accessReviewClose(c echo.Context) error {
	var in closingForm
	if err := decode(c, &in); err != nil {
		return err
	}
	id := c.Param("id")
	err := s.access.CloseReview(c.Request().Context(), reader(c), id, in.Conclusion, in.Left)
	if problem.Is(err, problem.Invalid) {
		return s.accessReviewPage(c, accessTyped{closing: in, complaint: err})
	}
	if err != nil {
		return err
	}
	s.signNow(c)
	return s.see(c, accessReviewPath(id), "Closed. Its report stays as it is.")
}

func (s *Server) closedAccessReview(c echo.Context) (access.Review, error) {
	r, err := s.store.AccessReview(c.Request().Context(), c.Param("id"))
	if err == nil && r.Open() {
		err = problem.New(problem.NotFound, "There is no report before the review is closed.")
	}
	return r, err
}

// accessReviewFile is the report that history holds the hash of. It names people by
// their ids.
func (s *Server) accessReviewFile(c echo.Context) error {
	r, err := s.closedAccessReview(c)
	if err != nil {
		return err
	}
	file, err := r.File()
	if err != nil {
		return err
	}
	attach(c, "application/json", "access-review.json")
	return c.Blob(http.StatusOK, "application/json", file)
}

// accessReviewCSV is the report as a spreadsheet, with names.
func (s *Server) accessReviewCSV(c echo.Context) error {
	r, err := s.closedAccessReview(c)
	if err != nil {
		return err
	}
	n, err := s.names(c)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{{"person", "name", "state", "last_sign_in", "rights", "verdict", "decided_by", "decided_by_name", "decided_at", "comment", "change_request", "stays"}}
	for _, row := range r.Rows {
		rows = append(rows, []string{
			row.User, n.of(row.User), row.State, stamp(row.LastSignIn), strings.Join(heldWords(row.Rights, n), "; "), string(row.Verdict), row.By, nameIf(row.By, n), stamp(row.At), row.Comment, row.Request, strings.Join(s.stayWords(row.Stays, n), " "),
		})
	}
	for _, row := range rows {
		for i := range row {
			row[i] = evidence.Harmless(row[i])
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	attach(c, "text/csv; charset=utf-8", "access-review.csv")
	return c.Blob(http.StatusOK, "text/csv; charset=utf-8", b.Bytes())
}

// nameIf is somebody's name, nothing if there is nobody.
func nameIf(id string, n names) string {
	if id == "" {
		return ""
	}
	return n.of(id)
}

// stamp writes a time for programs, nothing if there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(audit.TimeFormat)
}
