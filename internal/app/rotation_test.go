package app

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/notify"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/sink"
)

// The key changes while the console runs: everything that is sealed is sealed anew
// or nothing is, and what waits goes on.
func TestKeyRotation(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	ctx := t.Context()
	s.must(s.Store.CheckKey(ctx, s.Keys))
	admin, editor, approver := s.Person("Ada", access.Admin), s.Person("Emil", access.Editor), s.Person("Paul", access.Approver)
	_, _, err := s.server.notify.AddChannel(ctx, admin, notify.ChannelInput{Kind: notify.Webhook, Name: "Hook", URL: secret.New("https://hooks.example.com/services/abcdefgh1234"), Topics: []notify.Topic{notify.Approval}})
	s.must(err)
	_, _, err = s.server.sinks.Add(ctx, admin, sink.Input{Kind: sink.HTTPS, Name: "Sink", Format: sink.Native, From: sink.FromNow, Address: secret.New("https://siem.example.com/in")})
	s.must(err)
	s.signedIn("Ada").enrol()
	s.govern(admin, 1)
	r, err := s.Changes.ProposeUpdate(ctx, editor, change.Proposal{Project: s.Project.ID, Reason: "rotate"}, s.Config(rig.OwnOAuth).ID, change.Spec{
		Fields: map[string]string{"name": "renamed"}, Credentials: map[string]secret.Value{"client_secret": secret.New(stray)},
	}, nil)
	s.must(err)

	const records = 8 // the check, the project, two of the channel, two of the sink, the app, the credential
	reseal := func(k *secret.Keyring) (int, error) {
		return s.Store.Reseal(ctx, k, func(int) audit.Event { return audit.Event{Actor: audit.System(), Action: "keys.rotated"} })
	}
	first, err := secret.ParseKeyFile(strings.Repeat("6b", secret.KeySize)) // the rig's
	s.must(err)
	next := first.Rotated()
	ring, err := next.Keyring()
	s.must(err)
	s.Keys.Adopt(ring)
	if n, err := reseal(s.Keys); n != records || err != nil {
		t.Fatalf("%d records, %v", n, err)
	}
	settled, err := next.Settled().Keyring()
	s.must(err)
	before, err := s.Store.HistoryHead(ctx)
	s.must(err)
	if n, err := reseal(keyringOf(t, first)); !errors.Is(err, secret.ErrUnsealed) {
		t.Errorf("the old key opens %d, %v", n, err)
	}
	if after, err := s.Store.HistoryHead(ctx); err != nil || after != before {
		t.Errorf("what failed left an entry: %+v, %v", after, err)
	}
	if n, err := reseal(settled); n != records || err != nil {
		t.Errorf("the new key alone opens %d, %v", n, err)
	}
	s.must(s.Store.VerifyKey(ctx, settled))
	if r = s.agree(r.ID, editor, approver); r.State != change.Applied {
		t.Errorf("what waited is %s: %s", r.State, r.Note)
	}
	s.must(s.Mirror.Sync(ctx, s.Project.ID))
}

// The key changes again and again while people keep credentials: none is left that
// only an old key opens.
func TestSealedWhileTheKeyChanges(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	s.must(s.Store.CheckKey(t.Context(), s.Keys))
	admin := s.as("Ada", access.Admin)
	f, err := secret.ParseKeyFile(strings.Repeat("6b", secret.KeySize)) // the rig's
	s.must(err)
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := range 40 {
			admin.submit(admin.get("/settings/notifications"), "/settings/notifications", "kind", notify.Webhook, "name", "Hook "+strconv.Itoa(i), "secret.url", "https://hooks.example.com/services/abcdefgh1234", "topics", string(notify.Approval)).is(200)
			if i == 0 {
				close(begun)
			}
		}
	}()
	<-begun
	for rotating := true; rotating; {
		select {
		case <-ended:
			rotating = false
		default:
		}
		f = f.Rotated()
		<-s.Keys.Adopt(keyringOf(t, f))
		_, err := s.Store.Reseal(t.Context(), s.Keys, func(int) audit.Event { return audit.Event{Actor: audit.System(), Action: "keys.rotated"} })
		s.must(err)
		f = f.Settled()
		s.must(s.Store.CheckSealed(t.Context(), keyringOf(t, f)))
	}
	if all, _, err := s.server.notify.Channels(t.Context()); err != nil || len(all) != 40 {
		t.Errorf("%d channels, %v", len(all), err)
	}
}

// A request that is under way keeps the old key as long as it takes.
func TestKeyWaitsForRequests(t *testing.T) {
	s := newSite(t, sandbox.Options{})
	f, err := secret.ParseKeyFile(strings.Repeat("6b", secret.KeySize)) // the rig's
	s.must(err)
	body, typing := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/signin", body)
	s.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answered := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			err = resp.Body.Close()
		}
		answered <- err
	}()
	_, err = typing.Write([]byte("email=a"))
	s.must(err)
	var done <-chan struct{}
	deadline := time.Now().Add(patience)
	for held := false; !held; { // the request has reached the server by and by
		if time.Now().After(deadline) {
			t.Fatal("nothing holds the key")
		}
		done = s.Keys.Adopt(keyringOf(t, f.Rotated()))
		select {
		case <-done:
		case <-time.After(100 * time.Millisecond):
			held = true
		}
	}
	s.must(typing.Close())
	s.must(<-answered)
	<-done
}

func keyringOf(t *testing.T, f secret.KeyFile) *secret.Keyring {
	t.Helper()
	k, err := f.Keyring()
	if err != nil {
		t.Fatal(err)
	}
	return k
}
