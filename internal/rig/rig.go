// Package rig puts the parts of a console together for tests: a real store, the
// sandbox behind its validator, and the services over both.
package rig

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/archive"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/composio/sandbox/sandboxtest"
	"gatehouse/internal/mirror"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// Grace is the grace time of tests.
const Grace = 400 * time.Millisecond

// Timeout is how long the client waits for the sandbox.
const Timeout = time.Second

// A Rig is the parts of a console.
type Rig struct {
	T       testing.TB
	Dir     string // data directory
	Box     *sandboxtest.Server
	Store   *store.Store
	Mirror  *mirror.Service
	Changes *change.Service
	Access  *access.Service
	Witness *witness.Service // it does nothing by itself
	Archive *archive.Service // it does nothing by itself
	Keys    *secret.Keyring
	Project mirror.Project // staging, synced
	Log     *Log

	stop func()
}

// A Log keeps what was logged.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// New makes a rig with a synced project. Everything ends with the test.
func New(t testing.TB, o sandbox.Options) *Rig {
	t.Helper()
	r := Bare(t, o)
	r.Project = r.AddProject("staging", sandbox.StagingKey, mirror.Staging)
	return r
}

// Bare makes a rig without a project.
func Bare(t testing.TB, o sandbox.Options) *Rig {
	t.Helper()
	r := &Rig{T: t, Dir: filepath.Join(t.TempDir(), "data"), Box: sandboxtest.New(t, o), Log: &Log{}}
	keys, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	r.must(err)
	r.Keys = keys
	r.open()
	t.Cleanup(func() {
		if !t.Failed() {
			r.stop()
			begin, err := r.Store.HistoryBegin(context.Background())
			r.must(err)
			if begin == 1 { // else whoever lets history leave checks before
				CheckApproved(t, r.Store, r.Box.Journal())
			}
		}
		r.close()
	})
	return r
}

// Now is the rig's clock.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (r *Rig) open() {
	r.T.Helper()
	log := slog.New(slog.NewTextHandler(r.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	st, err := store.Open(r.Dir, store.Options{Log: log})
	r.must(err)
	r.Store = st
	r.Access = access.NewService(st, r.Keys, Now)
	r.Mirror = mirror.NewService(st, r.Keys, mirror.Settings{SyncInterval: time.Hour, APIVersion: "v3.1", Timeout: Timeout}, Now, log)
	r.Changes = change.NewService(st, r.Mirror, r.Keys, change.Settings{Grace: Grace, Lease: time.Minute}, Now, log)
	signing, err := witness.LoadKeys(r.Dir, true)
	r.must(err)
	r.Witness, err = witness.New(st, witness.Settings{Keys: signing, Anchors: []string{"file:" + filepath.Join(r.Dir, "anchors.log")}}, Now, log)
	r.must(err)
	r.Archive = archive.NewService(st, r.Witness, archive.Settings{Dir: filepath.Join(r.Dir, "archive")}, Now, log)
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { r.Changes.Run(ctx) })
	r.stop = func() {
		cancel()
		loops.Wait()
	}
}

func (r *Rig) close() {
	r.stop()
	if err := r.Store.Close(); err != nil {
		r.T.Error(err)
	}
}

// Restart closes the store and opens everything anew, as a new process would.
func (r *Rig) Restart() {
	r.T.Helper()
	r.close()
	r.open()
}

func (r *Rig) must(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatal(err)
	}
}

// AddProject adds a project of the sandbox's and reads it.
func (r *Rig) AddProject(slug, key, environment string) mirror.Project {
	r.T.Helper()
	p, err := r.Mirror.AddProject(r.T.Context(), access.Operator(), mirror.ProjectInput{Name: "Project " + slug, Slug: slug, Environment: environment, BaseURL: r.Box.URL}, secret.New(key))
	r.must(err)
	r.must(r.Mirror.Sync(r.T.Context(), p.ID))
	p, err = r.Store.Project(r.T.Context(), p.ID)
	r.must(err)
	return p
}

// Passphrase is what everybody signs in with.
const Passphrase = "seven quiet otters cross the bridge"

// Person makes somebody who may sign in.
func (r *Rig) Person(name string, roles ...access.Role) access.Reader {
	r.T.Helper()
	u, err := r.Access.AddUser(r.T.Context(), access.Person{Email: strings.ToLower(name) + "@example.com", Name: name, Roles: roles}, secret.New(Passphrase))
	r.must(err)
	return access.Reader{User: u, Origin: access.Origin{IP: "192.0.2.1", Agent: "test"}}
}

// Client makes a client of a directory where nobody has to agree, and its token.
func (r *Rig) Client(by access.Reader, name, directory string) (access.Client, secret.Value) {
	r.T.Helper()
	asked, err := r.Changes.ProposeClient(r.T.Context(), by, "", name, directory, 30)
	r.must(err)
	one, text, err := r.Access.ClientToken(r.T.Context(), by, r.Settled(asked.ID).Progress[0].Target)
	r.must(err)
	return one, text
}

// Config returns the first config of the mirror that fits.
func (r *Rig) Config(fits func(mirror.AuthConfig) bool) mirror.AuthConfig {
	r.T.Helper()
	snapshot, err := r.Store.Snapshot(r.T.Context(), r.Project.ID)
	r.must(err)
	for a := range snapshot.All {
		if fits(a) {
			return a
		}
	}
	r.T.Fatal("no such auth config in the sandbox")
	return mirror.AuthConfig{}
}

// Enabled is a fitting for [Rig.Config].
func Enabled(a mirror.AuthConfig) bool { return a.Enabled() }

// OwnOAuth is a fitting for [Rig.Config]: enabled, with the customer's own app.
func OwnOAuth(a mirror.AuthConfig) bool { return a.Enabled() && !a.Managed && a.Scheme == "OAUTH2" }

// Fail arms a fault of the sandbox.
func (r *Rig) Fail(f sandbox.Fault) {
	r.T.Helper()
	r.must(r.Box.Fail(f))
}

// Mutations are what the sandbox carried out since the rig was made.
func (r *Rig) Mutations() []sandbox.Mutation { return r.Box.Journal().Mutations }

// Settled waits until a request has come to rest and returns it.
func (r *Rig) Settled(id string) change.Request {
	r.T.Helper()
	ctx, cancel := context.WithTimeout(r.T.Context(), 20*time.Second)
	defer cancel()
	r.Changes.Settled(ctx, id)
	req, err := r.Store.Request(r.T.Context(), id)
	r.must(err)
	return req
}

// Struck returns once the first fault has struck: what it is to hit is on its
// way. A fault that doesn't strike within 20 seconds fails the test.
func (r *Rig) Struck() {
	r.T.Helper()
	for deadline := time.Now().Add(20 * time.Second); r.Box.Faults()[0].Fired == 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			r.T.Fatal("the fault did not strike: what it was to hit was never sent")
		}
	}
}

// History returns the newest entries of history.
func (r *Rig) History(q store.HistoryQuery) []audit.Entry {
	r.T.Helper()
	q.Limit = 500
	entries, err := r.Store.History(r.T.Context(), q)
	r.must(err)
	return entries
}
