// Command console is Gatehouse: a self-hosted web console for Composio auth
// configs. Run "console help" for its subcommands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// version is set at build time.
var version = "dev"

// The collector may let the heap grow to five times what is alive, which saves a
// tenth of the processor time, as long as all of it stays below the limit. GOGC
// and GOMEMLIMIT win.
const (
	growth      = 400       // percent
	memoryLimit = 192 << 20 // bytes
)

func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(growth)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

func main() {
	tuneCollector()
	syscall.Umask(0o077) // what this process writes is for its owner alone
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "console:", err)
	var code exitCode
	if errors.As(err, &code) {
		os.Exit(code.code)
	}
	os.Exit(1)
}

// An exitCode is an error that ends the program with a code of its own.
type exitCode struct {
	code int
	err  error
}

func (e exitCode) Error() string { return e.err.Error() }

func (e exitCode) Unwrap() error { return e.err }

// commands are the subcommands, with their flags and environment variables.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the console."`
	Demo    demoCommand    `cmd:"" help:"Run the console with made-up data on a built-in imitation of Composio."`
	Sandbox sandboxCommand `cmd:"" help:"Run the imitation of Composio alone."`
	User    userCommand    `cmd:"" help:"Manage people without the web."`
	History historyCommand `cmd:"" help:"Check history."`
	Backup  backupCommand  `cmd:"" help:"Copy the database while it is in use."`
	Restore restoreCommand `cmd:"" help:"Put a backup into a data directory that holds no database."`
	Keys    keysCommand    `cmd:"" help:"Change the key that credentials are sealed with."`
	Health  healthCommand  `cmd:"" help:"Ask a running console whether it is ready: exits 0 if it is."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// A terminal is where a subcommand writes to and reads from.
type terminal struct {
	in       io.Reader
	out, err io.Writer
	settings []string // environment variables that are known
}

// run carries out one command line.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) error {
	var c commands
	parser, err := kong.New(&c,
		kong.Name("console"),
		kong.Description("Gatehouse, the team console for Composio auth configs."),
		kong.Writers(out, errOut),
		kong.UsageOnError(),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 || args[0] == "help" {
		args = append(args[min(1, len(args)):], "--help")
	}
	k, err := parser.Parse(args)
	if err != nil {
		return exitCode{2, err}
	}
	k.BindTo(ctx, (*context.Context)(nil))
	return k.Run(terminal{in: in, out: out, err: errOut, settings: environment(parser.Model.Node)})
}

// environment lists the variables that flags of all subcommands are read from.
func environment(n *kong.Node) []string {
	var names []string
	for _, f := range n.Flags {
		names = append(names, f.Envs...)
	}
	for _, child := range n.Children {
		names = append(names, environment(child)...)
	}
	return names
}

type healthCommand struct {
	Addr string `env:"CONSOLE_ADDR" default:"127.0.0.1:8080" help:"Address that the console listens on."`
}

// Run asks the console on this machine.
func (h healthCommand) Run(ctx context.Context) error {
	_, port, err := net.SplitHostPort(h.Addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the console answers %s", resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(t terminal) error {
	_, err := fmt.Fprintln(t.out, "gatehouse", version)
	return err
}
