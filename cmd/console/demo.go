package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/app"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/secret"
)

type demoCommand struct {
	DataDir     string `env:"CONSOLE_DATA_DIR" type:"path" help:"Keep the demo's data here across restarts (default: a directory that goes when the demo stops)."`
	SandboxAddr string `env:"CONSOLE_SANDBOX_ADDR" default:"127.0.0.1:8099" help:"Address of the imitation of Composio, for other clients on this machine."`
	Configs     int    `default:"0" help:"Auth configs in each project; 0 is a small lifelike set."`
	Addr        string `env:"CONSOLE_ADDR" default:"127.0.0.1:8080" help:"Address to listen on; loopback only."`
	behaviour
	receivers
	sinks
	retention
	OIDCFile     string `name:"oidc-file" env:"CONSOLE_OIDC_FILE" type:"path" help:"File (JSON) of identity providers that people may sign in through, too; see docs/people.md."`
	SecondFactor string `env:"CONSOLE_SECOND_FACTOR" default:"none" help:"Roles that ask for a second factor, comma separated, or none."`
}

// envDemoPassphrase names the passphrase of all demo users. It is no flag, since
// arguments can be read by others.
const envDemoPassphrase = "CONSOLE_DEMO_PASSPHRASE"

var demoPeople = []struct {
	email, name, hint string
	roles             []access.Role
}{
	{"admin@example.com", "Ada Admin", "Manages people and projects, and edits.", []access.Role{access.Admin, access.Editor}},
	{"editor@example.com", "Emil Editor", "Creates, edits, switches and deletes auth configs.", []access.Role{access.Editor}},
	{"editor2@example.com", "Edda Editor", "A second editor.", []access.Role{access.Editor}},
	{"approver@example.com", "Anna Approver", "Agrees to changes of others, where policy asks for it.", []access.Role{access.Approver}},
	{"approver2@example.com", "Anton Approver", "A second approver.", []access.Role{access.Approver}},
	{"auditor@example.com", "Ayo Auditor", "Reads everything, history in full.", []access.Role{access.Auditor}},
	{"auditor2@example.com", "Ana Auditor", "A second auditor, who closes what the first opened.", []access.Role{access.Auditor}},
	{"viewer@example.com", "Vera Viewer", "Looks, and changes nothing.", []access.Role{access.Viewer}},
}

// Run serves the console on an embedded imitation of Composio.
func (d demoCommand) Run(ctx context.Context, t terminal) (err error) {
	for _, addr := range []string{d.Addr, d.SandboxAddr} {
		host, _, err := net.SplitHostPort(addr)
		if err != nil || !loopbackHost(host) {
			return fmt.Errorf("the demo listens on loopback addresses only, not on %q", addr)
		}
	}
	dir := d.DataDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "gatehouse-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	box, err := sandbox.New(sandbox.Options{Seed: 1, Configs: d.Configs, StateFile: filepath.Join(dir, "sandbox.json")})
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.SandboxAddr)
	if err != nil {
		return errors.Join(err, box.Close())
	}
	boxCtx, stopBox := context.WithCancel(context.WithoutCancel(ctx)) // it outlives the console
	boxDone := make(chan error, 1)
	go func() { boxDone <- serveSandbox(boxCtx, box, l) }()
	defer func() {
		stopBox()
		err = errors.Join(err, <-boxDone)
	}()
	return d.console(ctx, t, dir, "http://"+l.Addr().String(), box)
}

// console runs the console against the sandbox.
func (d demoCommand) console(ctx context.Context, t terminal, dir, boxURL string, box *sandbox.Server) error {
	passphrase := os.Getenv(envDemoPassphrase)
	if passphrase == "" {
		passphrase = strings.ToLower(secret.Code(6) + "-" + secret.Code(6) + "-" + secret.Code(6))
	}
	k := console{directory: directory{DataDir: dir}, web: web{Addr: d.Addr}, behaviour: d.behaviour, retention: d.retention, signing: signing{OIDCFile: d.OIDCFile}, factors: factors{d.SecondFactor}, notifications: notifications{receivers: d.receivers, sinks: d.sinks}}
	for _, p := range demoPeople {
		k.demo = append(k.demo, app.DemoUser{Email: p.email, Role: p.name, Hint: p.hint})
	}
	k.prepare = func(ctx context.Context, c *services) error {
		made, err := fillDemo(ctx, c, boxURL, secret.New(passphrase), box)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(t.out, "Demo: everything is made up. Composio is imitated on %s\n  keys: %s, %s\n", boxURL, sandbox.StagingKey, sandbox.ProductionKey)
		if err == nil && made {
			_, err = fmt.Fprintf(t.out, "  people: %s and others @example.com, passphrase: %s\n", demoPeople[0].email, passphrase)
		}
		return err
	}
	return k.run(ctx, t)
}

// fillDemo makes people, projects and a little history, once.
func fillDemo(ctx context.Context, c *services, boxURL string, passphrase secret.Value, box *sandbox.Server) (made bool, err error) {
	users, err := c.store.Users(ctx)
	if err != nil || len(users) > 0 {
		return false, err
	}
	for _, p := range demoPeople {
		if _, err := c.access.AddUser(ctx, access.Person{Email: p.email, Name: p.name, Roles: p.roles}, passphrase); err != nil {
			return false, fmt.Errorf("demo user %s: %w", p.email, err)
		}
	}
	for _, p := range []struct {
		in  mirror.ProjectInput
		key string
	}{
		{mirror.ProjectInput{Name: "Production", Slug: "production", Environment: mirror.Production, BaseURL: boxURL}, sandbox.ProductionKey},
		{mirror.ProjectInput{Name: "Staging", Slug: "staging", Environment: mirror.Staging, BaseURL: boxURL}, sandbox.StagingKey},
	} {
		if err := c.mirror.EnsureProject(ctx, p.in, secret.New(p.key)); err != nil {
			return false, err
		}
	}
	if err := someHistory(ctx, c, box); err != nil {
		return false, err
	}
	return true, someRules(ctx, c)
}

// someHistory lets the demo's editors do a few things, and somebody change a
// config at Composio directly.
func someHistory(ctx context.Context, c *services, box *sandbox.Server) error {
	project, err := c.store.ProjectBySlug(ctx, "staging")
	if err != nil {
		return err
	}
	if err := c.mirror.Sync(ctx, project.ID); err != nil {
		return err
	}
	snapshot, err := c.store.Snapshot(ctx, project.ID)
	if err != nil {
		return err
	}
	var enabled []mirror.AuthConfig
	for a := range snapshot.All {
		if a.Enabled() {
			enabled = append(enabled, a)
		}
	}
	if len(enabled) < 3 {
		return nil
	}
	steps := []func(access.Reader, change.Proposal) (change.Request, error){
		func(by access.Reader, p change.Proposal) (change.Request, error) {
			return c.changes.ProposeUpdate(ctx, by, p, enabled[0].ID, change.Spec{Fields: map[string]string{mirror.FieldName: enabled[0].Name + "-eu"}}, nil)
		},
		func(by access.Reader, p change.Proposal) (change.Request, error) {
			return c.changes.ProposeSwitch(ctx, by, p, []string{enabled[1].ID}, false)
		},
		func(by access.Reader, p change.Proposal) (change.Request, error) {
			return c.changes.ProposeCreate(ctx, by, p, change.Spec{Toolkit: "linear", Scheme: "OAUTH2", Managed: true, Fields: map[string]string{mirror.FieldName: "linear-triage"}})
		},
	}
	reasons := []string{"One per region from now on", "Nobody uses it; found in the spring clean", "Triage bot for the support team"}
	for i, step := range steps {
		who, err := c.store.AccountByEmail(ctx, []string{"editor@example.com", "editor2@example.com"}[i%2])
		if err != nil {
			return err
		}
		by := access.Reader{User: who.User, Origin: access.Origin{IP: "127.0.0.1", Agent: "demo"}}
		r, err := step(by, change.Proposal{Project: project.ID, Reason: reasons[i]})
		if err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		c.changes.Settled(wait, r.ID)
		cancel()
	}
	return outsideChange(ctx, c, box, enabled[2], project.ID)
}

// outsideChange widens the scopes of a config behind the console's back.
func outsideChange(ctx context.Context, c *services, box *sandbox.Server, a mirror.AuthConfig, project string) error {
	edit, err := json.Marshal(map[string]any{"id": a.ID, "name": a.Name + " (do not touch)", "last_updated_at": time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	if _, err := box.Edit(sandbox.Edit{Projects: map[string]sandbox.ProjectEdit{"staging": {AuthConfigs: []json.RawMessage{edit}}}}); err != nil {
		return err
	}
	return c.mirror.Sync(ctx, project)
}
