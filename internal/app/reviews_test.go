package app

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/problem"
	"gatehouse/internal/review"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

// openReview opens a review of what Emil did, with two auditors at hand.
func openReview(t *testing.T, s *site) (ayo, ben *browser, emil access.Reader, path string) {
	t.Helper()
	ayo, ben = s.as("Ayo", access.Auditor), s.as("Ben", access.Auditor)
	emil = s.Person("Emil", access.Editor)
	a := s.Config(rig.Enabled)
	for _, on := range []bool{false, true, false} {
		r, err := s.Changes.ProposeSwitch(t.Context(), emil, proposal(s), []string{a.ID}, on)
		if err != nil {
			t.Fatal(err)
		}
		s.Settled(r.ID)
	}
	opened := ayo.submit(ayo.get("/reviews/new?q=emil"), "/reviews", "name", "The week").has("Review opened", "The week", "0 of")
	return ayo, ben, emil, opened.url.Path
}

// mark sends the form below the entries for some of them.
func (b *browser) mark(path, part, do string, seqs []string, pairs ...string) *reply {
	b.site.T.Helper()
	form := b.get(path + "?part=" + part).form(path + "/mark")
	form.Del("first")
	form.Del("last")
	form["id"], form["do"] = seqs, []string{do}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.do(b.request("POST", path+"/mark", form))
}

func (r *reply) seqs() []string { return r.doc.Find(".marked [data-seq]").Map(attr("data-seq")) }

func TestReview(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ayo, ben, emil, path := openReview(t, s)
	first := ayo.get(path)
	seqs := first.seqs()
	if len(seqs) < 4 {
		t.Fatalf("%d entries", len(seqs))
	}

	// What happens later isn't part of it.
	b := s.signedIn("Emil")
	b.submit(b.get("/account"), "/account", "name", "Emil the Second")
	if n := len(ayo.get(path + "?part=all").seqs()); n != len(seqs) {
		t.Errorf("%d entries, want %d", n, len(seqs))
	}

	// Marks: some, one taken back, and a flag with its question.
	ayo.mark(path, "left", "look", seqs[:2], "comment", "as agreed").has("2 entries marked", "2 of")
	ayo.mark(path, "looked", "unlook", seqs[:1]).has("1 entry no longer marked", "1 of")
	ayo.mark(path, "left", "flag", seqs[2:3]).is(422).has("Say what is to be explained")
	ayo.mark(path, "left", "flag", seqs[2:3], "comment", "why?").is(422).has("Choose who is to answer")
	ayo.mark(path, "left", "flag", seqs[2:3], "comment", "Why was this switched off?", "to", emil.ID).has("1 entry flagged", "2 of")
	ayo.get(path + "?part=flagged").has("Waits for Emil")
	ayo.mark(path, "left", "look", nil).is(422).has("Select entries first")
	if got := ayo.mark(path, "left", "look", seqs[1:2]); got.status != 409 {
		t.Errorf("marked again: %d", got.status)
	}
	ben.get(path).has("One flag is not settled yet")
}

// The whole way: flagged, answered, asked again, answered, settled, closed by a
// second auditor, reported.
func TestReviewToTheEnd(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ayo, ben, emil, path := openReview(t, s)
	seqs := ayo.get(path).seqs()
	flag := path + "/flags/" + seqs[0]
	ayo.mark(path, "left", "flag", seqs[:1], "comment", "Why was this <b>switched</b> off?", "to", emil.ID).has("1 entry flagged")

	b := s.signedIn("Emil")
	b.get("/").has("Ayo asks you about 1 entry")
	asked := b.get("/reviews").has("Asked of you", "Why was this <b>switched</b> off?")
	b.submit(asked, flag+"/answer", "answer", " ").is(422).has("Write an answer")
	b.submit(b.get("/reviews"), flag+"/answer", "answer", "Support asked for it.").has("Answered", "Nothing is asked of you")
	if got := b.get(path); got.status != 404 {
		t.Errorf("an editor sees the review: %d", got.status)
	}
	flagged := ayo.get(path + "?part=flagged").has("Support asked for it.")
	refused := ayo.submit(flagged, flag+"/ask", "comment", "Which ticket?", "to", "").is(422).has("Choose who is to answer")
	if typed := refused.form(flag + "/ask"); typed.Get("comment") != "Which ticket?" {
		t.Errorf("what was typed comes back as %v", typed)
	}
	ayo.submit(refused, flag+"/ask", "to", emil.ID).has("Asked again", "Which ticket?")
	b.submit(b.get("/reviews").has("asks again"), flag+"/answer", "answer", "4711")
	ben.submit(ben.get(path+"?part=flagged"), flag+"/accept").has("Settled")

	ayo.get(path).has("You opened this review, so another auditor has to close it.")
	page := ayo.get(path + "?part=left")
	form := page.form(path + "/mark")
	ayo.do(ayo.request("POST", path+"/mark", withValues(form, "do", "range"))).has("marked as looked at")
	if ayo.get(path+"/report").status != 404 {
		t.Error("an open review has a report")
	}
	ben.submit(ben.get(path), path+"/close", "conclusion", "").is(422).has("Say what the review came to")
	report := ben.submit(ben.get(path), path+"/close", "conclusion", "Nothing out of order.").at(path + "/report")
	report.has("Nothing out of order.", "Looked at by Ayo", "Which ticket?", "4711", "This is what the review was closed with")
	if n := report.doc.Find("b b").Length(); n != 0 {
		t.Error("what was typed became markup")
	}
	file := ayo.get(path + "/report.json").is(200)
	sum := sha256.Sum256([]byte(file.body))
	closing := s.History(store.HistoryQuery{Action: "review.closed"})[0]
	if closing.Detail["report_sha256"] != hex.EncodeToString(sum[:]) {
		t.Error("the file isn't what history has the hash of")
	}
	if strings.Contains(file.body, "Emil") {
		t.Error("the report names people")
	}
	for action, want := range map[string]int{"review.opened": 1, "review.marked": 1, "review.flagged": 1, "review.answered": 2, "review.reopened": 1, "review.accepted": 1, "review.closed": 1} {
		if n := s.historyOf(action); n != want {
			t.Errorf("%d entries %s, want %d", n, action, want)
		}
	}
	ayo.get("/history?action=review.marked").has("Ayo looked at " + strconv.Itoa(len(seqs)-1) + " entries in the review The week")

	// A closed review stays as it is.
	closed := ben.get(path + "?part=all").has("Closed")
	if n := closed.doc.Find("main form").Length(); n != 0 {
		t.Errorf("%d forms", n)
	}
	for _, do := range []func() error{
		func() error {
			return s.server.reviewer.Answer(t.Context(), emil, path[9:], mustSeq(t, seqs[0]), "late")
		},
		func() error { return s.server.reviewer.Close(t.Context(), s.readerOf("Ben"), path[9:], "again") },
	} {
		if err := do(); err == nil {
			t.Error("a closed review was changed")
		}
	}
}

func mustSeq(t *testing.T, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func withValues(form url.Values, pairs ...string) url.Values {
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// readerOf is somebody as they act.
func (s *site) readerOf(name string) access.Reader {
	s.T.Helper()
	people, err := s.Store.Users(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	for _, u := range people {
		if u.Name == name {
			return access.Reader{User: u}
		}
	}
	s.T.Fatalf("there is no %s", name)
	return access.Reader{}
}

// Who changes the tables behind a report's back is found out.
func TestReportTampered(t *testing.T) {
	if got := reportCheck("aa", audit.Entry{Event: audit.Event{Detail: map[string]string{"report_sha256": "bb"}}}); got.Tone != "bad" {
		t.Error(got)
	}
}

func TestReviewForm(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ayo", access.Auditor)
	form := func(pairs ...string) *reply { return b.submit(b.get("/reviews/new"), "/reviews", pairs...) }
	form("name", "").is(422).has("Enter a name")
	form("name", "x", "from", "2026-02-31").is(422).has("Enter a date")
	form("name", "x", "from", "2026-03-02", "to", "2026-03-01").is(422).has("The last day is before the first")
	form("name", "x", "q", "is:nonsense").is(422).has("nonsense")
	form("name", "x", "q", "nothinglikethis").is(422).has("No entry of history fits")
	if n := s.historyOf("review.opened"); n != 0 {
		t.Errorf("%d reviews were opened", n)
	}
	s.as("Ada", access.Admin).get("/reviews/new").is(404)
}

// someReview is the id of a review that is closed.
func (s *site) someReview() string {
	s.T.Helper()
	ctx := s.T.Context()
	all, err := s.Store.Reviews(ctx)
	if err != nil {
		s.T.Fatal(err)
	}
	if len(all) > 0 {
		return all[0].ID
	}
	opener, closer := s.Person("Opener", access.Auditor), s.Person("Closer", access.Auditor)
	asked := s.Person("Asked", access.Editor)
	r, err := s.server.reviewer.Open(ctx, opener, review.Opening{Name: "The first entry"}, review.Scope{Seqs: []int64{1}, UpTo: 1})
	if err != nil {
		s.T.Fatal(err)
	}
	if _, err := s.server.reviewer.Flag(ctx, opener, r.ID, review.Question{Seqs: []int64{1}, Comment: "why?", To: asked.ID}); err != nil {
		s.T.Fatal(err)
	}
	if err := s.server.reviewer.Accept(ctx, opener, r.ID, 1, "no matter"); err != nil {
		s.T.Fatal(err)
	}
	if err := s.server.reviewer.Close(ctx, closer, r.ID, "fine"); err != nil {
		s.T.Fatal(err)
	}
	return r.ID
}

// An auditor who was asked, and whose question went on to somebody else, is
// offered none of what a judge may do.
func TestReviewAskedAuditor(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ayo, _, emil, path := openReview(t, s)
	cleo := s.as("Cleo", access.Auditor)
	seqs := ayo.get(path).seqs()
	flag := path + "/flags/" + seqs[0]
	ayo.mark(path, "left", "flag", seqs[:1], "comment", "Why?", "to", s.readerOf("Cleo").ID)
	ayo.submit(ayo.get(path+"?part=flagged"), flag+"/ask", "comment", "Cleo is away", "to", emil.ID)
	page := cleo.get(path + "?part=flagged").has("asks again")
	for _, do := range []string{"/ask", "/accept"} {
		if page.doc.Find(`form[action="`+flag+do+`"]`).Length() != 0 {
			t.Errorf("who was asked is offered %s", do)
		}
	}
	if err := s.server.reviewer.Accept(t.Context(), s.readerOf("Cleo"), path[9:], mustSeq(t, seqs[0]), "all fine"); !problem.Is(err, problem.Forbidden) {
		t.Errorf("who was asked settled it: %v", err)
	}
	cleo.get(path).has("You were asked about an entry of this review, so another auditor has to close it.")
}

// While the index of searches is made anew, what is under review would lack
// entries, and a report can't be compared.
func TestReviewWhileIndexing(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ayo", access.Auditor)
	closed := reviewPath(s.someReview())
	open := func() *reply { return b.submit(b.get("/reviews/new?q=x.y"), "/reviews", "name", "All") }
	db, err := sql.Open("sqlite3", filepath.Join(s.Dir, "history_index.db")+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	held, err := db.BeginTx(t.Context(), nil) // nothing is added to the index meanwhile
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 100 { // they share transactions
		wg.Go(func() {
			for range 1000/100 + 20 { // more than may wait for the index
				if err := s.Store.Record(t.Context(), audit.Event{Actor: audit.System(), Action: "x.y"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	open().is(503).has("made anew")
	if all, err := s.Store.Reviews(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("%d reviews were opened, %v", len(all)-1, err)
	}
	if text := b.get(closed + "/report").text(); strings.Contains(text, "not what the review was closed with") {
		t.Error(text)
	}
	if err := errors.Join(held.Rollback(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// What auditors write in a review is for auditors: who is asked gets the question
// on their own page, and nothing of it by way of history.
func TestReviewWordsStayInside(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ayo, ben, emil, path := openReview(t, s)
	seqs := ayo.get(path).seqs()
	vera := s.as("Vera", access.Viewer)
	asked := map[*browser]string{vera: "w0rdsforvera", s.signedIn("Emil"): "w0rdsforemil"}
	ayo.mark(path, "left", "look", seqs[2:3], "comment", "w0rdsaside")
	ayo.mark(path, "left", "flag", seqs[:1], "comment", asked[vera], "to", s.readerOf("Vera").ID)
	ayo.mark(path, "left", "flag", seqs[1:2], "comment", "w0rdsforemil", "to", emil.ID)
	ben.submit(ben.get(path+"?part=flagged"), path+"/flags/"+seqs[1]+"/accept", "comment", "w0rdsatlast").has("Settled")
	pages := []string{
		"/", "/history", "/history?q=w0rdsforvera", "/history?q=w0rdsforemil", "/history?q=w0rdsaside", "/history?q=w0rdsatlast", "/history?action=review.flagged",
		s.page(s.Config(rig.OwnOAuth).ID), personPath(s.readerOf("Ayo").ID) + "/history", personPath(s.readerOf("Ben").ID) + "/history",
		personPath(emil.ID) + "/history?of=them", personPath(s.readerOf("Vera").ID) + "/history?of=them",
	}
	for _, e := range s.History(store.HistoryQuery{Action: "review"}) {
		pages = append(pages, entryPath(e.Seq))
	}
	for b, own := range asked {
		for _, page := range pages {
			shown := b.get(page).doc
			shown.Find("input, .chip, title").Remove() // what was typed
			if _, words, found := strings.Cut(shown.Text(), "w0rds"); found {
				t.Errorf("%s shows what auditors wrote: %.12s", page, words)
			}
		}
		if text := b.get("/reviews").text(); strings.Contains(text, "w0rdsaside") || strings.Contains(text, "w0rdsatlast") || strings.Contains(text, own) != (b == vera) {
			t.Errorf("what is asked: %s", text)
		}
	}
}
