package app

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
)

// someAccessReview is a closed one, made if there is none.
func (s *site) someAccessReview() string {
	s.T.Helper()
	all, err := s.Store.AccessReviews(s.T.Context())
	s.must(err)
	if len(all) == 0 {
		admin := s.Person("Looker", access.Admin)
		r, err := s.Access.OpenReview(s.T.Context(), admin, "Spring")
		s.must(err)
		s.must(s.Access.CloseReview(s.T.Context(), admin, r.ID, "Fine.", "For a test."))
		return r.ID
	}
	return all[0].ID
}

// Each person is confirmed or revoked, nobody decides about themselves, and the
// report proves itself.
func TestAccessReview(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	emil, vera := s.Person("Emil", access.Editor), s.Person("Vera", access.Viewer)
	list := b.get("/people/reviews").is(200).has("No access review yet")
	b.submit(list, accessReviewsPath, "name", "").is(422).has("Enter a name")
	page := b.submit(list, accessReviewsPath, "name", "=Spring 2026").is(200).has("Opened. Decide about each person.", "Emil", "Editor", "Never")
	path := page.url.Path
	id := strings.TrimPrefix(path, accessReviewsPath+"/")
	row := func(user, verdict, comment string) *reply {
		form := b.get(path).form(path + "/decide")
		form.Set("user", user)
		form.Set("verdict", verdict)
		form.Set("comment", comment)
		return b.do(b.request("POST", path+"/decide", form))
	}
	row(s.readerOf("Ada").ID, "confirmed", "").is(403).has("Somebody else has to decide about your own rights")
	row("usr_none", "confirmed", "").is(404)
	row(emil.ID, "maybe", "").is(422)
	row(emil.ID, "revoked", strings.Repeat("x", 2001)).is(422)
	row(emil.ID, "revoked", "Left\u200b").is(422).has("Leave out control characters")
	if got := s.readerOf("Emil"); !got.Has(access.Editor) {
		t.Error("roles were taken by a form with complaints")
	}
	row(vera.ID, "confirmed", "Still here").is(200).has("Confirmed.", "Still here")
	row(emil.ID, "revoked", "Left the team").is(200).has("Revoked.", "Change request", "Changed since. Now: no role.")
	row(emil.ID, "confirmed", "").is(409)
	r, err := s.Store.AccessReview(t.Context(), id)
	s.must(err)
	var taken string
	for _, one := range r.Rows {
		if one.User == emil.ID {
			taken = one.Request
		}
	}
	if got := s.readerOf("Emil"); len(got.Grants) != 0 || s.Settled(taken).State != change.Applied {
		t.Errorf("Emil still has %v", got.Grants)
	}
	b.get(path + "/report.csv").is(404)
	b.submit(b.get(path), path+"/close", "conclusion", "One left").is(422).has("Say why people are left undecided")
	b.submit(b.get(path), path+"/close", "conclusion", "One left", "left", "I can't decide about myself").is(200).has("Closed. Its report stays as it is.", "One left")
	row2 := b.send(b.get("/people/reviews"), accessReviewsPath, url.Values{"name": {"Next"}}).is(200)
	form := row2.form(row2.url.Path + "/decide")
	form.Set("user", vera.ID)
	form.Set("verdict", "confirmed")
	b.do(b.request("POST", path+"/decide", form)).is(403) // made for another address
	file := b.get(path + "/report.json").is(200)
	sum := sha256.Sum256([]byte(file.body))
	if want := hex.EncodeToString(sum[:]); !strings.Contains(b.get(path).text(), want) || s.History(store.HistoryQuery{Action: "access_review.closed"})[0].Detail["report_sha256"] != want {
		t.Error("history and the page don't tell of this report")
	}
	if strings.Contains(file.body, "Emil") || !strings.Contains(file.body, emil.ID) {
		t.Error("the report names people otherwise than by their ids")
	}
	sheet := b.get(path + "/report.csv").is(200).body
	if !strings.Contains(sheet, "Emil") || !strings.Contains(sheet, "revoked") {
		t.Errorf("the spreadsheet is %s", sheet)
	}
	s.as("Vic", access.Auditor).get(path).is(200).has("Emil", "Revoked")
	s.signedIn("Vera").get(path).is(404)
}

// Who decides sees why they don't about themselves, and may decide otherwise about
// whom they confirmed.
func TestAccessReviewRows(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ada", access.Admin)
	emil := s.Person("Emil", access.Editor)
	page := b.submit(b.get(accessReviewsPath), accessReviewsPath, "name", "Spring").has("Somebody else decides about you.", "0 of 2 people decided")
	path := page.url.Path
	if page.doc.Find("details form.verdict").Length() != 0 {
		t.Error("a form to decide is folded away")
	}
	form := page.form(path + "/decide")
	form.Set("user", emil.ID)
	form.Set("verdict", "confirmed")
	page = b.do(b.request("POST", path+"/decide", form)).has("1 of 2 people decided")
	if page.doc.Find("#"+emil.ID+" details:not([open]) form.verdict").Length() != 1 {
		t.Error("nothing to decide otherwise about whom was confirmed")
	}
	b.submit(page, path+"/close", "conclusion", "Fine", "left", "I can't decide about myself")
	if sheet := b.get(path + "/report.csv").is(200).body; !strings.Contains(sheet, s.readerOf("Ada").ID+",Ada,") {
		t.Errorf("the spreadsheet doesn't name who decided: %s", sheet)
	}
	if b.get(path).doc.Find("[data-print]").Length() != 1 {
		t.Error("the report can't be printed by a button")
	}
}

// Revoking takes what groups give too, as far as Gatehouse says who is in them; what
// a directory keeps is said plainly, and in the report. Request and decision are one.
func TestAccessReviewGroups(t *testing.T) {
	d := newDir(t, "")
	vic := d.as("Vic", access.Auditor)
	dora, only := d.provision("Dora", nil), d.provision("Only", nil)
	kept := d.ask("POST", "/Groups", anything{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Group"}, "displayName": "Engineers", "members": []anything{{"value": dora}, {"value": only}}}, 201)["id"].(string)
	settled := func(r change.Request, err error) {
		d.must(err)
		if r = d.Settled(r.ID); r.State != change.Applied {
			t.Fatalf("%s is %s: %s", r.Title, r.State, r.Note)
		}
	}
	settled(d.Changes.ProposeGroup(t.Context(), d.admin, "", access.Group{ID: kept, Name: "Engineers", Grants: access.Unscoped(access.Editor)}))
	settled(d.Changes.ProposeGroup(t.Context(), d.admin, "", access.Group{Name: "Locals", Members: []string{dora, d.admin.ID}, Grants: access.Unscoped(access.Auditor)}))
	settled(d.Changes.ProposeRoles(t.Context(), d.admin, "", d.account(dora), access.Unscoped(access.Viewer)))

	b := d.signedIn("Ada")
	page := b.submit(b.get(accessReviewsPath), accessReviewsPath, "name", "Spring")
	path := page.url.Path
	decide := func(user string) *reply {
		form := b.get(path).form(path + "/decide")
		form.Set("user", user)
		form.Set("verdict", "revoked")
		return b.do(b.request("POST", path+"/decide", form))
	}
	decide(only).is(422).has("Only has roles only through Engineers, and who is in there is kept elsewhere")
	decide(dora).is(200).has("Still has Editor through Engineers, which the directory keeps.")
	if got := d.account(dora); !slices.Equal(got.Roles(), []access.Role{access.Editor}) {
		t.Errorf("Dora has %v", got.Grants)
	}
	if !d.readerOf("Ada").Has(access.Auditor) {
		t.Error("others left the group with her")
	}
	entry := d.History(store.HistoryQuery{Action: "access_review.revoked"})[0]
	if entry.Detail["stays"] != "editor by "+kept || entry.Request == "" {
		t.Errorf("history says %v of %q", entry.Detail, entry.Request)
	}
	asked := len(d.History(store.HistoryQuery{Action: "change.submitted"}))
	decide(dora).is(409)
	if got := len(d.History(store.HistoryQuery{Action: "change.submitted"})); got != asked {
		t.Error("a decision that was refused left a request behind")
	}
	b.submit(b.get(path), path+"/close", "conclusion", "Done", "left", "Kept elsewhere").is(200)
	vic.get(path).has("Still has Editor through Engineers, which the directory keeps.")
	if got := vic.get(path + "/report.csv").is(200).body; !strings.Contains(got, "Still has Editor through Engineers") {
		t.Errorf("the spreadsheet is %s", got)
	}
	if got := vic.get(path + "/report.json").is(200).body; !strings.Contains(got, `"Source": "scim`) {
		t.Errorf("the report is %s", got)
	}
}

// Somebody else decides while a request is on its way: neither is there.
func TestRevokedMeanwhile(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ada, emil := s.Person("Ada", access.Admin), s.Person("Emil", access.Editor)
	r, err := s.Access.OpenReview(t.Context(), ada, "Spring")
	s.must(err)
	s.must(s.Access.CloseReview(t.Context(), ada, r.ID, "Fine.", "For a test."))
	if _, err := s.Changes.Revoke(t.Context(), ada, r.ID, emil.ID, ""); !problem.Is(err, problem.Conflict) {
		t.Errorf("a closed review decides: %v", err)
	}
	if !s.readerOf("Emil").Has(access.Editor) || s.historyOf("change.submitted") != 0 {
		t.Error("a request stays without its decision")
	}
}
