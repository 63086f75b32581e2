// Command console is Gatehouse: a self-hosted web console for Composio auth
// configs. Run "console help" for its subcommands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set at build time.
var version = "dev"

func main() {
	syscall.Umask(0o077) // what this process writes is for its owner alone
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
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
	Sandbox sandboxCommand `cmd:"" help:"Run the Composio emulator alone."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// A terminal is where a subcommand writes to and reads from.
type terminal struct {
	out, err io.Writer
}

// run carries out one command line.
func run(ctx context.Context, args []string, out, errOut io.Writer) error {
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
	return k.Run(terminal{out, errOut})
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(t terminal) error {
	_, err := fmt.Fprintln(t.out, "gatehouse", version)
	return err
}
