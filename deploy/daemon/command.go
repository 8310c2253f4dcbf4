package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"telemetry-pipeline/events/build"
)

// Command is something that a program does once, besides serving: "ingestd upload FILE" is the command
// upload of ingestd.
type Command struct {
	Name    string
	Args    string              // the arguments behind the flags, for the usage text, such as "FILE…"
	Summary string              // the purpose, in one line
	Flags   func(*flag.FlagSet) // nil: it has none; each falls back to its environment variable
	Prefix  string              // of the names of these variables, where a plain HOST or COLUMNS belongs to another program
	Shared  func(*flag.FlagSet) // flags that it has in common with the daemon; their variables have no Prefix
	Secrets []Secret            // settings that only the environment has

	Needs  Needs // credentials of the command; the zero Needs is refused
	Chatty bool  // logs from level INFO on are shown by default, else from WARN on
	// Run does it until ctx ends. Flags may stand between and behind args. A UsageError ends the process with
	// code 2, an ExitError with its own, any other error with 1.
	Run func(ctx context.Context, t Terminal, args []string) error
}

// Needs are the credentials with which a command does its work. A command names them, so that nobody adds one without saying who
// may run it: the servers and etcd check them.
type Needs uint8

// What commands need.
const (
	NeedsNothing Needs = iota + 1 // it works on this machine alone
	NeedsToken                    // a token or certificate for a server, when the server asks for one
	NeedsEtcd                     // an etcd user that may do what the command does: flags etcd.…
)

// String returns the needs as the usage text shows them.
func (n Needs) String() string {
	switch n {
	case NeedsNothing:
		return "Needs no credentials."
	case NeedsToken:
		return "Needs the right to do this on the server if that asks who calls: -token-file or the variable TOKEN, or -cert and -key."
	case NeedsEtcd:
		return "Needs an etcd user that may do this if etcd asks who calls: -etcd.cert and -etcd.key. collectd access makes such users."
	}
	return "Needs are not named."
}

// Secret is a setting without a flag, since other users of a machine can read command lines. It has the same variable for
// every command.
type Secret struct {
	Variable string
	Usage    string
	Value    *string // set before Run; unchanged if the variable is unset or empty
}

// Terminal is where a command reads and writes. Results go to Out, everything else to Log.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
	Log      *slog.Logger
}

// UsageError is a command line that a command cannot take.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// ExitError ends a process with a code that its caller can act on. The command has printed its message itself.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

func (c *Command) defaultLevel() slog.Level {
	if c.Chatty {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// variableNames returns the function that names the variable of a flag.
func (c *Command) variableNames() func(flagName string) string {
	shared := flag.NewFlagSet("", flag.ContinueOnError)
	if c.Shared != nil {
		c.Shared(shared)
	}
	return func(flagName string) string {
		if shared.Lookup(flagName) != nil {
			return variableOf(flagName)
		}
		return c.Prefix + variableOf(flagName)
	}
}

// runCommand runs one command of a program and returns the process's exit code.
func runCommand(ctx context.Context, p process, c Command) int {
	fs := flag.NewFlagSet(p.name+" "+c.Name, flag.ContinueOnError)
	var logs logConfig
	logs.registerFlags(fs, c.defaultLevel())
	if c.Flags != nil {
		c.Flags(fs)
	}
	if c.Shared != nil {
		c.Shared(fs)
	}
	c.readSecrets(p.lookup)
	args, err := parseCommand(fs, p, c)
	if errors.Is(err, errDocumented) {
		return 0
	}
	if err == nil {
		err = c.Run(ctx, Terminal{In: p.stdin, Out: p.stdout, Err: p.stderr, Log: logs.newLogger(p.stderr)}, args)
	} else {
		err = &UsageError{err.Error()}
	}
	return exitCode(p, c, err)
}

func (c *Command) readSecrets(lookup func(string) (string, bool)) {
	for _, s := range c.Secrets {
		if text, _ := lookup(s.Variable); text != "" {
			*s.Value = text
		}
	}
}

func exitCode(p process, c Command, err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*ExitError](err); ok {
		return exit.Code
	}
	fmt.Fprintf(p.stderr, "%s %s: %v\n", p.name, c.Name, err)
	if _, ok := errors.AsType[*UsageError](err); ok {
		fmt.Fprintf(p.stderr, "%s %s -help shows how to use it\n", p.name, c.Name)
		return 2
	}
	return 1
}

// parseCommand sets flags, which may stand anywhere before "--", and returns the other arguments.
func parseCommand(fs *flag.FlagSet, p process, c Command) (args []string, err error) {
	fs.SetOutput(io.Discard)
	if err := refuseSecrets(p.args, c.variableNames()); err != nil {
		return nil, err
	}
	if err := fromEnvironment(fs, c.variableNames(), p.lookup); err != nil {
		return nil, err
	}
	version := versionFlag(fs)
	for rest := p.args[1:]; ; rest = fs.Args()[1:] {
		if err := fs.Parse(rest); errors.Is(err, flag.ErrHelp) {
			commandUsage(fs, p.stdout, c)
			return nil, errDocumented
		} else if err != nil {
			return nil, err
		}
		if *version {
			fmt.Fprintln(p.stdout, build.String(p.name))
			return nil, errDocumented
		}
		parsed := len(rest) - fs.NArg()
		if fs.NArg() == 0 || parsed > 0 && rest[parsed-1] == "--" {
			return append(args, fs.Args()...), nil
		}
		args = append(args, fs.Arg(0))
	}
}

func commandUsage(fs *flag.FlagSet, w io.Writer, c Command) {
	fmt.Fprintf(w, "%s [flags] %s\n%s\n%s\n\n", fs.Name(), c.Args, c.Summary, c.Needs)
	printUsage(fs.Name(), []flagGroup{{flags: allFlags(fs)}}, c.variableNames(), w)
	for _, s := range c.Secrets {
		fmt.Fprintf(w, "  %s (environment variable without a flag)\n        %s\n", s.Variable, s.Usage)
	}
}
