package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

type userCommand struct {
	Add     userAddCommand     `cmd:"" help:"Add somebody who may sign in."`
	List    userListCommand    `cmd:"" help:"List people."`
	Disable userDisableCommand `cmd:"" help:"Disable an account and end its sessions."`
	Reset   userResetCommand   `cmd:"" help:"Make a link by which somebody sets a new passphrase; lifts a lock, and with --factors takes away second factors."`
}

type userAddCommand struct {
	Email          string   `arg:"" help:"E-mail address."`
	Name           string   `required:"" help:"Name."`
	Role           []string `required:"" help:"viewer, editor, approver, auditor or admin; may be repeated."`
	Emergency      bool     `help:"May sign in with the passphrase also when others may only come through an identity provider. Every such sign-in is told to all admins."`
	PassphraseFile string   `type:"existingfile" help:"File whose first line is the passphrase (default: it is asked for)."`
	directory
	public
}

type userListCommand struct {
	directory
	public
}

type userDisableCommand struct {
	Email string `arg:"" help:"E-mail address."`
	directory
	public
}

type userResetCommand struct {
	Email   string `arg:"" help:"E-mail address."`
	Factors bool   `help:"Take away all second factors too, for who has lost them, and end all sessions."`
	directory
	public
}

// public is the address that links are made with.
type public struct {
	PublicURL string `env:"CONSOLE_PUBLIC_URL" default:"http://127.0.0.1:8080" help:"What people type into the browser."`
}

// Run adds somebody.
func (c userAddCommand) Run(ctx context.Context, t terminal) error {
	passphrase, err := readPassphrase(c.PassphraseFile, t)
	if err != nil {
		return err
	}
	return c.call(ctx, t, c.PublicURL, toolCall{Command: "user add", Email: c.Email, Name: c.Name, Roles: c.Role, Emergency: c.Emergency, Passphrase: passphrase})
}

// Run lists people.
func (c userListCommand) Run(ctx context.Context, t terminal) error {
	return c.call(ctx, t, c.PublicURL, toolCall{Command: "user list"})
}

// Run disables an account.
func (c userDisableCommand) Run(ctx context.Context, t terminal) error {
	return c.call(ctx, t, c.PublicURL, toolCall{Command: "user disable", Email: c.Email})
}

// Run makes a reset link.
func (c userResetCommand) Run(ctx context.Context, t terminal) error {
	return c.call(ctx, t, c.PublicURL, toolCall{Command: "user reset", Email: c.Email, Factors: c.Factors})
}

// readPassphrase reads from a file or asks; a passphrase is never an argument.
func readPassphrase(file string, t terminal) (string, error) {
	from := t.in
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }() // only read
		from = f
	} else if _, err := fmt.Fprint(t.err, "Passphrase (it will be shown while you type): "); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(from).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// call has a running console do it, or does it here if none runs.
func (d directory) call(ctx context.Context, t terminal, publicURL string, call toolCall) error {
	out, err := callServer(ctx, filepath.Join(d.DataDir, socketFile), call)
	if errors.Is(err, errNoServer) {
		out, err = d.callHere(ctx, t, publicURL, call)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(t.out, out)
	return err
}

func (d directory) callHere(ctx context.Context, t terminal, publicURL string, call toolCall) (out string, err error) {
	log := slog.New(slog.NewJSONHandler(t.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	c, err := openServices(d, behaviour{}, log)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.store.Close()) }()
	c.public = strings.TrimRight(publicURL, "/")
	return runTool(ctx, c, call)
}

// runTool carries out a subcommand and returns what it prints.
func runTool(ctx context.Context, c *services, call toolCall) (string, error) {
	switch call.Command {
	case "user add":
		return addUser(ctx, c, call)
	case "user list":
		return listUsers(ctx, c)
	case "user disable":
		return withUser(ctx, c, call.Email, func(u access.User) (string, error) {
			return u.Email + " is disabled and signed out everywhere.\n", c.access.SetDisabled(ctx, access.Operator(), u.ID, true)
		})
	case "user reset":
		return withUser(ctx, c, call.Email, func(u access.User) (string, error) {
			if call.Factors {
				if err := c.access.ResetFactors(ctx, access.Operator(), u.ID); err != nil {
					return "", err
				}
			}
			token, err := c.access.ResetPassphrase(ctx, access.Operator(), u.ID)
			return "Hand this link to " + u.Name + ". It works once.\n  " + c.public + "/link?" + url.Values{"token": {token}}.Encode() + "\n", err
		})
	case "backup":
		return c.backup(ctx, call)
	case "keys rotate":
		return c.rotateKeys(ctx)
	case "keys reseal":
		return c.reseal(ctx)
	}
	return "", fmt.Errorf("no subcommand %q", call.Command)
}

func withUser(ctx context.Context, c *services, email string, do func(access.User) (string, error)) (string, error) {
	a, err := c.store.AccountByEmail(ctx, strings.ToLower(email))
	if problem.Is(err, problem.NotFound) {
		return "", fmt.Errorf("nobody has the address %s", email)
	}
	if err != nil {
		return "", err
	}
	return do(a.User)
}

func addUser(ctx context.Context, c *services, call toolCall) (string, error) {
	p := access.Person{Email: call.Email, Name: call.Name, Emergency: call.Emergency}
	for _, r := range call.Roles {
		p.Roles = append(p.Roles, access.Role(r))
	}
	u, err := c.access.AddUser(ctx, p, secret.New(call.Passphrase))
	if pr := problem.Of(err); pr != nil {
		var lines []string
		for field, complaint := range pr.Fields {
			lines = append(lines, field+": "+complaint)
		}
		slices.Sort(lines)
		return "", errors.New(strings.Join(append([]string{"nobody was added."}, lines...), "\n  "))
	}
	return u.Email + " may sign in.\n", err
}

func listUsers(ctx context.Context, c *services) (string, error) {
	users, err := c.store.Users(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "EMAIL\tNAME\tROLES\tSTATE") // into memory
	for _, u := range users {
		var roles []string
		for _, r := range u.Roles() {
			roles = append(roles, string(r))
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", u.Email, u.Name, strings.Join(roles, ","), u.State) // into memory
	}
	err = w.Flush()
	return b.String(), err
}
