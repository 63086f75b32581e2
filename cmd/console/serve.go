package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/app"
	"gatehouse/internal/archive"
	"gatehouse/internal/change"
	"gatehouse/internal/health"
	"gatehouse/internal/mirror"
	"gatehouse/internal/notify"
	"gatehouse/internal/secret"
	"gatehouse/internal/signon"
	"gatehouse/internal/sink"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

type serveCommand struct {
	directory
	web
	behaviour
	signing
	notifications
	witnessing
	retention
	factors
	remote
}

// Run serves the console until ctx ends.
func (s serveCommand) Run(ctx context.Context, t terminal) error {
	return console{directory: s.directory, web: s.web, behaviour: s.behaviour, signing: s.signing, factors: s.factors, notifications: s.notifications, witnessing: s.witnessing, retention: s.retention, prepare: s.firstProject}.run(ctx, t)
}

// firstProject makes the project that the environment describes.
func (s serveCommand) firstProject(ctx context.Context, c *services) error {
	key := os.Getenv(envAPIKey)
	if key == "" {
		return nil
	}
	return c.mirror.EnsureProject(ctx, mirror.ProjectInput{Name: "Default", Slug: "default", Environment: s.Environment, BaseURL: s.BaseURL}, secret.New(key))
}

// A console is everything that `serve` and `demo` have in common.
type console struct {
	directory
	web
	behaviour
	signing
	notifications
	witnessing
	retention
	factors
	demo    []app.DemoUser
	prepare func(context.Context, *services) error // before the first request
}

// services are the parts of a running console.
type services struct {
	store    *store.Store
	access   *access.Service
	mirror   *mirror.Service
	changes  *change.Service
	notify   *notify.Service
	witness  *witness.Service
	archive  *archive.Service
	log      *slog.Logger
	sinks    *sink.Service
	keys     *secret.Keyring
	dir      directory
	rotation sync.Mutex // held while the key changes
	health   *health.Service
	metrics  *health.Metrics // nil unless somebody reads them
	public   string
}

// lease is how long one attempt at Composio may take, in client time-outs: the
// reads before and after it may be repeated.
const lease = 10

// exitLocked is the code for a data directory that another process holds.
const exitLocked = 4

// openServices opens the data directory and builds what works on it.
func openServices(d directory, b behaviour, log *slog.Logger) (*services, error) {
	keys, err := d.keyring(store.DatabaseFile)
	if err != nil {
		return nil, err
	}
	if err := checkKey(d.DataDir, keys); err != nil {
		return nil, err
	}
	st, err := store.Open(d.DataDir, store.Options{Log: log})
	if errors.Is(err, store.ErrLocked) {
		return nil, exitCode{exitLocked, fmt.Errorf("%w: %s", err, d.DataDir)}
	}
	if err != nil {
		return nil, err
	}
	c := &services{store: st, keys: keys, dir: d, log: log}
	if err := st.CheckKey(context.Background(), keys); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	c.access = access.NewService(st, keys, now)
	c.mirror = mirror.NewService(st, keys, b.mirror(), now, log)
	settings := change.Settings{Grace: b.ApplyGrace, Lease: lease * b.Timeout}
	if b.MetricsAddr != "" {
		c.metrics = health.NewMetrics()
		settings.Attempted = c.metrics.Attempted
	}
	c.changes = change.NewService(st, c.mirror, keys, settings, now, log)
	return c, nil
}

// checkKey looks whether an existing database belongs to the key, before anything
// is written.
func checkKey(dir string, keys *secret.Keyring) error {
	info, err := os.Stat(filepath.Join(dir, store.DatabaseFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := store.Open(dir, store.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(st.VerifyKey(context.Background(), keys), st.Close())
}

// roleNames are the names of all roles that somebody may have.
func roleNames(ctx context.Context, st *store.Store) ([]string, error) {
	rules, err := st.Rules(ctx)
	var names []string
	for _, r := range access.Roles() {
		names = append(names, string(r))
	}
	for _, r := range rules.Roles {
		names = append(names, r.Name)
	}
	return names, err
}

// now is the clock: microseconds, UTC.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// run opens everything, serves until ctx ends, and closes it in order.
func (k console) run(ctx context.Context, t terminal) (err error) {
	logged := &health.Errors{}
	log := slog.New(logged.Handler(slog.NewJSONHandler(t.err, &slog.HandlerOptions{Level: k.LogLevel})))
	slog.SetDefault(log) // for libraries that write to the default log
	warnOfUnknown(log, t.settings)
	public, err := k.publicURL()
	if err != nil {
		return err
	}
	proxies, err := k.proxies()
	if err != nil {
		return err
	}
	if public.Scheme == "https" && len(proxies) == 0 {
		log.Warn("behind a proxy without CONSOLE_TRUSTED_PROXIES everybody seems to come from its address, and shares its limits")
	}
	if err := errors.Join(k.check(), k.checkRetention()); err != nil {
		return err
	}
	told, err := k.settings(public.String(), len(k.demo) > 0)
	if err != nil {
		return err
	}
	providers, err := k.providers()
	if err != nil {
		return err
	}
	c, err := openServices(k.directory, k.behaviour, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.store.Close()) }()
	c.public = public.String()
	if err := c.openSignIn(ctx, k.signing); err != nil {
		return err
	}
	if c.witness, err = k.newWitness(ctx, c, t); err != nil {
		return err
	}
	c.archive = archive.NewService(c.store, c.witness, k.archiving(k.directory), now, log)
	c.notify = notify.NewService(c.store, c.keys, told, now, log)
	c.sinks = sink.NewService(c.store, c.keys, k.streams(k.directory, public.Hostname(), told.Receivers), now, log)
	c.health = health.NewService(health.Parts{Store: c.store, Notify: c.notify, Sinks: c.sinks, Witness: c.witness, Archive: c.archive, Errors: logged, Build: version, Sync: k.SyncInterval, Now: now})
	if k.prepare != nil {
		if err := k.prepare(ctx, c); err != nil {
			return err
		}
	}
	roles, err := roleNames(ctx, c.store)
	if err != nil {
		return err
	}
	required, err := k.required(roles)
	if err != nil {
		return err
	}
	handler, err := app.New(app.Options{
		Store: c.store, Mirror: c.mirror, Changes: c.changes, Access: c.access, Notify: c.notify, Sinks: c.sinks, Witness: c.witness, Archive: c.archive, Keys: c.keys,
		SignOn: signon.NewService(providers, c.keys, c.public, now, c.noteProvider),
		Health: c.health, Answered: c.answered(), PublicURL: public, TrustedProxies: proxies, Build: version, Demo: k.demo, SecondFactor: required, Now: now, Log: log, Stop: ctx.Done(),
	})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", k.Addr)
	if err != nil {
		return err
	}
	stopMetrics, err := c.serveMetrics(ctx, k.MetricsAddr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopMetrics()) }()
	if err := k.announce(ctx, t.out, c, listener.Addr()); err != nil {
		return err
	}
	return k.serve(ctx, c, handler, listener, log)
}

// openSignIn says who may sign in locally.
func (c *services) openSignIn(ctx context.Context, s signing) error {
	if !s.closed() {
		return nil
	}
	c.access.CloseLocal()
	people, err := c.store.Users(ctx)
	if len(people) > 0 && !slices.ContainsFunc(people, func(u access.User) bool { return u.Emergency && u.State == access.Active }) {
		c.log.Warn("only emergency accounts may sign in locally, and there is none: make one with 'console user add --emergency'")
	}
	return err
}

// noteProvider records that a provider stopped answering, or answers again.
func (c *services) noteProvider(ctx context.Context, id string, cause error) {
	if cause != nil {
		c.log.Warn("an identity provider doesn't answer as it should", "provider", id, "err", cause)
	}
	if err := c.access.NoteProvider(ctx, id, cause == nil); err != nil {
		c.log.Error("record how an identity provider is", "provider", id, "err", err)
	}
}

// announce says where the console is, and how to set it up if nobody has yet.
func (k console) announce(ctx context.Context, out io.Writer, c *services, at net.Addr) error {
	if _, err := fmt.Fprintf(out, "Gatehouse listens on http://%s\n", at); err != nil {
		return err
	}
	token, err := c.access.NewSetupLink(ctx)
	if err != nil || token == "" {
		return err
	}
	_, err = fmt.Fprintf(out, "Nobody can sign in yet. Open this link within 30 minutes to create the first account:\n  %s/setup?token=%s\n", c.public, token)
	return err
}

// stopWithin is how long requests get to finish once the program is to stop.
const stopWithin = 20 * time.Second

// serve runs the server and the loops until ctx ends or the database fails.
func (k console) serve(ctx context.Context, c *services, handler http.Handler, l net.Listener, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loops sync.WaitGroup
	loops.Go(func() { c.store.Run(ctx) })
	loops.Go(func() { c.access.Run(ctx, func(err error) { log.Error("tell owners of their tokens", "err", err) }) })
	loops.Go(func() { c.changes.Run(ctx) })
	loops.Go(func() { c.mirror.Run(ctx) })
	loops.Go(func() { c.notify.Run(ctx) })
	loops.Go(func() { c.witness.Run(ctx) })
	loops.Go(func() { c.archive.Run(ctx) })
	loops.Go(func() { c.sinks.Run(ctx) })
	stopSocket, err := serveSocket(ctx, filepath.Join(k.DataDir, socketFile), c, log)
	if err != nil {
		return err
	}
	server := app.HTTPServer(handler, log)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	var reason error
	select {
	case <-ctx.Done():
	case <-c.store.Failed():
		reason = errors.New("the database failed; start again to read it afresh")
	case reason = <-served:
	}
	if reason != nil {
		err = server.Close() // nothing that is under way can be finished
	} else {
		stop, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
		defer cancelStop()
		err = server.Shutdown(stop)
	}
	cancel()
	loops.Wait() // parks changes that are being applied
	return errors.Join(reason, err, stopSocket())
}
