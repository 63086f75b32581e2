package app

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
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
