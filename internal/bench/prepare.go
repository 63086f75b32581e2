package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/composio"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

const (
	email      = "ada@example.com"
	passphrase = "seven quiet otters cross the bridge"
	slug       = "bench"
)

func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func (b *bench) dataDir() string { return filepath.Join(b.dir, "data") }

// env is what the measured console is started with. The key file is the default
// one, which prepare has written.
func (b *bench) env() []string {
	return []string{"CONSOLE_DATA_DIR=" + b.dataDir(), "CONSOLE_SYNC_INTERVAL=24h", "CONSOLE_SECOND_FACTOR=none"}
}

// prepare fills the data directory: a person, a project with its auth configs,
// and history. On the way it measures the full sync against reading the pages.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.box, err = sandbox.New(sandbox.Options{Seed: 1, Configs: b.configs}); err != nil {
		return err
	}
	server := httptest.NewServer(b.box)
	b.boxAddr = server.Listener.Addr().String()
	defer server.Close()
	g := goal{ID: "G19", Name: fmt.Sprintf("full sync of %d configs", b.configs), AtMost: true, Floor: 3, Target: 2}
	for i := range 5 {
		dir := b.dataDir()
		if i > 0 {
			dir = filepath.Join(b.dir, fmt.Sprintf("sync%d", i))
		}
		reading, err := readPages(ctx, server.URL)
		if err != nil {
			return err
		}
		syncing, err := b.fullSync(ctx, dir, server.URL)
		if err != nil {
			return err
		}
		g.Ceiling, g.Ours = fmt.Sprintf("pages alone %.2f s", reading.Seconds()), fmt.Sprintf("%.2f s", syncing.Seconds())
		g.Ratios = append(g.Ratios, syncing.Seconds()/reading.Seconds())
	}
	b.report.add(g)
	return b.fillHistory(ctx)
}

// readPages reads all auth configs with the client and does nothing with them.
func readPages(ctx context.Context, url string) (time.Duration, error) {
	client, err := composio.New(url, secret.New(sandbox.StagingKey), composio.WithReadBudget(0))
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	for _, err := range client.AuthConfigs.List(ctx, composio.AuthConfigQuery{}) {
		if err != nil {
			return 0, err
		}
	}
	return time.Since(begun), nil
}

// fullSync makes a console's data directory and returns how long its first sync took.
func (b *bench) fullSync(ctx context.Context, dir, url string) (took time.Duration, err error) {
	key := make([]byte, secret.KeySize)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(dir, "console.key"), fmt.Appendf(nil, "%x\n", key), 0o600); err != nil {
		return 0, err
	}
	keys, err := secret.NewKeyring(key)
	if err != nil {
		return 0, err
	}
	st, err := store.Open(dir, store.Options{Log: b.log})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := st.CheckKey(ctx, keys); err != nil {
		return 0, err
	}
	people := access.NewService(st, keys, clock)
	if _, err := people.AddUser(ctx, access.Person{Email: email, Name: "Ada Admin", Roles: []access.Role{access.Admin, access.Editor}}, secret.New(passphrase)); err != nil {
		return 0, err
	}
	m := mirror.NewService(st, keys, mirror.Settings{SyncInterval: time.Hour, APIVersion: "v3.1", Timeout: 30 * time.Second}, clock, b.log)
	p, err := m.AddProject(ctx, access.Operator(), mirror.ProjectInput{Name: "Bench", Slug: slug, Environment: mirror.Staging, BaseURL: url}, secret.New(sandbox.StagingKey))
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	err = m.Sync(ctx, p.ID)
	return time.Since(begun), err
}

// fillHistory writes history rows as a busy team would, from a fixed seed.
func (b *bench) fillHistory(ctx context.Context) (err error) {
	st, err := store.Open(b.dataDir(), store.Options{Log: b.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return parallel(64, 64, func(w int) error {
		random := rand.New(rand.NewPCG(1, uint64(w)))
		for range b.rows / 64 {
			if err := st.FailSignIn(ctx, madeUp(random)); err != nil {
				return err
			}
		}
		return nil
	})
}

// signIn returns the session cookie of a person.
func signIn(base, mail string) (*http.Cookie, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar}
	resp, err := client.Get(base + "/signin")
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	form := url.Values{"email": {mail}, "secret.passphrase": {passphrase}}
	for _, m := range regexp.MustCompile(`name="(csrf|op)" value="([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		form.Set(m[1], m[2])
	}
	resp, err = client.PostForm(base+"/signin", form)
	if err != nil {
		return nil, err
	}
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	at, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" {
		return nil, fmt.Errorf("sign-in ended at %s with %s", resp.Request.URL, resp.Status)
	}
	for _, c := range jar.Cookies(at) {
		if c.Name == "sid" {
			return c, nil
		}
	}
	return nil, errors.New("no session cookie")
}

var (
	toolkits = []string{"github", "gmail", "slack", "notion", "jira", "linear", "stripe", "hubspot", "asana", "zoom"}
	actions  = []string{"auth_config.updated", "auth_config.disabled", "auth_config.enabled", "change.applied", "session.started"}
)

// madeUp is one entry of a busy team's history.
func madeUp(random *rand.Rand) audit.Event {
	pick := func(all []string) string { return all[random.IntN(len(all))] }
	n := random.IntN(10_000)
	person := random.IntN(200)
	return audit.Event{
		Actor:   audit.Actor{Kind: audit.ActorUser, ID: fmt.Sprintf("usr_%04d", person), Name: fmt.Sprintf("Person %d", person), Email: fmt.Sprintf("p%d@example.com", person), IP: "192.0.2.7", Agent: "bench"},
		Action:  pick(actions),
		Object:  audit.Object{Kind: "auth_config", ID: fmt.Sprintf("ac_%012d", n), Name: fmt.Sprintf("%s-%06d", pick(toolkits), n)},
		Request: fmt.Sprintf("chg_%012d", random.IntN(20_000)),
		Changes: []audit.Change{{Field: "scopes", Before: []string{"repo"}, After: []string{"repo", "read:" + pick(toolkits)}}},
	}
}
