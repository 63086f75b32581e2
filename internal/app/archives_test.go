package app

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/archive"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/sink"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// archives lets the site's archives be made as if it were four months later.
func (s *site) archives() *archive.Service {
	s.T.Helper()
	later := func() time.Time { return rig.Now().AddDate(0, 4, 0) }
	s.server.archive = archive.NewService(s.Store, s.Witness, archive.Settings{Months: 3, Dir: filepath.Join(s.Dir, "archive")}, later, slog.New(slog.NewTextHandler(s.Log, nil)))
	return s.server.archive
}

// heard lets the outbox be as if everybody had heard.
func (s *site) heard() {
	s.T.Helper()
	seqs, err := s.Store.Outbox(s.T.Context(), 1000)
	for _, seq := range seqs {
		err = errors.Join(err, s.Store.Spread(s.T.Context(), seq, nil, nil))
	}
	if err != nil {
		s.T.Fatal(err)
	}
}

// archived lets all that there is leave.
func (s *site) archived() {
	s.T.Helper()
	s.heard()
	rig.CheckApproved(s.T, s.Store, s.Box.Journal())
	for _, err := range []error{s.Witness.Checkpoint(s.T.Context(), witness.ForNews), s.archives().Work(s.T.Context())} {
		if err != nil {
			s.T.Fatal(err)
		}
	}
	if hold := s.server.archive.State().Hold; hold != "" {
		s.T.Fatal(hold)
	}
}

// What left is named on every page that would show it.
func TestArchivedPages(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ayo, ben, emil, path := openReview(t, s)
	a := s.Config(rig.OwnOAuth)
	s.rename(emil, a.ID, "second", "repo")
	seqs := ayo.get(path).seqs()
	ayo.mark(path, "left", "flag", seqs[:1], "comment", "Why?", "to", emil.ID)
	s.signedIn("Emil").answer(path + "/flags/" + seqs[0])
	ben.submit(ben.get(path+"?part=flagged"), path+"/flags/"+seqs[0]+"/accept")
	ben.submit(ben.get(path), path+"/close", "conclusion", "Fine.").at(path + "/report")
	report := ayo.get(path + "/report.json").is(200).body
	ayo.get(integrityPath).has("Archives and retention", "CONSOLE_RETENTION is not set")
	head, err := s.Store.HistoryHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.archived()

	file := archive.Name(rig.Now().Format("2006-01"))
	month := rig.Now().Format("January 2006")
	page := ayo.get(integrityPath).is(200).has("3 months in the database", month, "1 to "+number(int(head.Seq)), file)
	if page.doc.Find("[aria-labelledby=archives-title] tbody tr").Length() != 1 || strings.Contains(page.text(), "File not there") {
		t.Error(page.text())
	}
	if strings.Contains(s.as("Vera", access.Viewer).get(integrityPath).is(200).text(), file) {
		t.Error("a viewer sees the archives")
	}
	ayo.get("/history").is(200).has("wrote the archive", "removed from the database", file)
	ayo.get("/history?q=action:project").is(200).has("Nothing found")
	ayo.get("/history/1").is(410).has("Entry 1 is in the archive of " + month + " (" + file + ")")
	ayo.get("/history/" + strconv.FormatInt(head.Seq+99, 10)).is(404)
	ayo.get(asOfPath(s.Project.Slug) + "?entry=3").is(410)
	ayo.get(asOfPath(s.Project.Slug)).is(200).has("in the archive of", a.ID, "not known here")
	ayo.get(configPath(s.Project.Slug, a.ID)+"/versions").is(200).has("The entry that tells is in the archive of", file)
	ayo.get(configPath(s.Project.Slug, a.ID) + "/history").is(200)
	ayo.get(path+"?part=all").is(200).has("Entry "+seqs[0]+" is in the archive of", "Why?")
	ayo.get(path+"/report").is(200).has("Why?", "Compare this report with its archive")
	if got := ayo.get(path + "/report.json").is(200).body; got != report {
		t.Error("the report changed")
	}
	for _, path := range []string{"/", "/changes", "/people", "/settings"} {
		ayo.get(path).is(200)
	}
	if _, err := s.Store.VerifyHistory(t.Context()); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(s.Dir, "archive", file)); err != nil {
		t.Fatal(err)
	}
	ayo.get(integrityPath).has("File not there")
}

// answer answers a flag.
func (b *browser) answer(flag string) {
	b.submit(b.get("/reviews"), flag+"/answer", "answer", "Because.")
}

// Nothing leaves that an open request, an open review or a sink still needs.
func TestArchivesWait(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	emil, ada := s.Person("Emil", access.Editor), s.Person("Ada", access.Admin)
	work := func(why string) {
		t.Helper()
		s.heard()
		if err := s.Witness.Checkpoint(t.Context(), witness.ForNews); err != nil {
			t.Fatal(err)
		}
		if err := s.server.archive.Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if hold := s.server.archive.State().Hold; why == "" && hold != "" || !strings.Contains(hold, why) {
			t.Errorf("it waits because of %q, want %q", hold, why)
		}
		first, err := s.Store.HistoryBegin(t.Context())
		if err != nil || (first == 1) != (why != "") {
			t.Errorf("%q: history begins with %d, %v", why, first, err)
		}
	}
	s.archives()
	draft := proposal(s)
	draft.Draft = true
	r, err := s.Changes.ProposeUpdate(t.Context(), emil, draft, s.Config(rig.OwnOAuth).ID, change.Spec{Fields: map[string]string{"scopes": "repo"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	work("Change request " + r.ID + ", of that time, is still open.")
	ayo := s.as("Ayo", access.Auditor)
	ayo.get(integrityPath).has("The next month waits", r.ID)
	if _, err := s.Changes.Cancel(t.Context(), emil, r.ID, "no"); err != nil {
		t.Fatal(err)
	}
	opened := ayo.submit(ayo.get("/reviews/new"), "/reviews", "name", "The week").url.Path
	work("The review “The week”, of that time, is still open.")
	ben := s.as("Ben", access.Auditor)
	ayo.do(ayo.request("POST", opened+"/mark", withValues(ayo.get(opened+"?part=left").form(opened+"/mark"), "do", "range")))
	ben.submit(ben.get(opened), opened+"/close", "conclusion", "Fine.")

	sinks := streamer(s.Rig, sink.Settings{Dir: filepath.Join(s.Dir, "sinks"), Retry: time.Hour})
	s.server.sinks = sinks
	k, _, err := sinks.Add(t.Context(), ada, sink.Input{Kind: sink.File, Name: "SIEM", Format: sink.Native, From: sink.FromStart, Address: secret.New("siem.jsonl")})
	if err != nil {
		t.Fatal(err)
	}
	work("The sink “SIEM” hasn't had all of it yet.")
	head, err := s.Store.HistoryHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := s.Store.SinkDelivered(t.Context(), k, head.Seq, true); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, err := s.Store.Archives(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	work("")

	// And the sink can't go back behind what left.
	b := s.signedIn("Ada")
	first, err := s.Store.HistoryBegin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sinks.Replay(t.Context(), ada, k.ID, 1); err == nil {
		t.Error("it is delivered from an entry that left")
	}
	if ok, err := s.Store.SinkDelivered(t.Context(), k, first, true); err != nil || !ok {
		t.Fatal(ok, err)
	}
	b.submit(b.get(sinksPath).has("From "+strconv.FormatInt(first, 10)), sinkPath(k.ID)+"/replay", "entry", "1").is(422).has("have left for archives", strconv.FormatInt(first, 10))
	if found, err := s.Store.History(t.Context(), store.HistoryQuery{Action: "history.pruned", Limit: 9}); err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
}

// Where archives can't be written, the page says so and everything stays.
func TestArchivesFail(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ayo := s.as("Ayo", access.Auditor)
	if err := s.Witness.Checkpoint(t.Context(), witness.ForNews); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "archive"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.archives().Work(t.Context()); err == nil {
		t.Fatal("it was archived")
	}
	ayo.get(integrityPath).has("History could not be archived.", "Nothing was removed")
	ayo.get("/history/1").is(200)
}
