package app

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"io"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/rig"
	"gatehouse/internal/store"
)

func TestHistoryExport(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ayo", access.Auditor)
	editor := s.Person("Emil", access.Editor)
	a := s.Config(rig.Enabled)
	r, err := s.Changes.ProposeSwitch(t.Context(), editor, proposal(s), []string{a.ID}, false)
	if err != nil {
		t.Fatal(err)
	}
	s.Settled(r.ID)

	search := "/history?q=" + url.QueryEscape(a.Name) + "&actor=" + editor.ID
	link, _ := b.get(search).doc.Find(`a[href*="history.csv"]`).First().Attr("href")
	resp, err := b.client.Do(b.request("GET", link, nil))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	if got, want := resp.Trailer.Get("Content-Digest"), "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":"; got != want {
		t.Errorf("digest %q, want %q", got, want)
	}
	if got := resp.Header.Get("Content-Disposition"); got != `attachment; filename="history.csv"` {
		t.Error(got)
	}
	lines, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := s.History(store.HistoryQuery{Text: a.Name, Actor: editor.ID})
	if len(lines)-1 != len(want) || len(want) == 0 {
		t.Errorf("%d lines for %d entries", len(lines)-1, len(want))
	}
	recorded := s.History(store.HistoryQuery{Action: "history.exported"})
	if len(recorded) != 1 || recorded[0].Outcome != audit.OK || !strings.Contains(recorded[0].Reason, editor.ID) {
		t.Errorf("recorded %+v", recorded)
	}
	b.get("/history?action=history.exported").has("Ayo exported history.csv with")
	if r := b.do(b.request("HEAD", "/history.jsonl", nil)).is(200); r.body != "" || s.historyOf("history.export_begun") != 1 {
		t.Error("HEAD exports")
	}
}

func TestExportLimit(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	b := s.as("Ayo", access.Auditor)
	for range exportBurst {
		b.get("/history.jsonl?actor=usr_nobody").is(200)
	}
	if got := b.get("/history.jsonl").is(429).has("a lot of exports"); got.header.Get("Retry-After") == "" || got.header.Get("Content-Disposition") != "" {
		t.Errorf("%v", got.header)
	}
	if n := s.History(store.HistoryQuery{Action: "history.exported"}); len(n) != exportBurst {
		t.Errorf("%d exports are recorded", len(n))
	}
	v := s.as("Vera", access.Viewer)
	v.get("/history.csv").is(404)
	if v.get("/history").doc.Find(`a[href*="history.csv"], a[href$="evidence.zip"]`).Length() != 0 {
		t.Error("a viewer is offered an export")
	}
}
