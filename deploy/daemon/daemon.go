package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/access"
)

// Part is one part of a process. Parts are listed in the direction of the data: they start from the
// last to the first, each once the one behind it is ready, and stop from the first to the last, each
// waited for. Nil functions are skipped.
type Part struct {
	Name string
	// Run blocks until ctx ends, then drains. A Run that returns earlier stops the whole process.
	Run func(ctx context.Context) error
	// Ready is nil once the part is current, and else names the thing that it waits for.
	Ready func() error
	// Started is nil once the parts in front may start; without it, they start once the part is ready.
	Started func() error
	// Degraded is nil while the part's work is complete, and else names the thing that people have to look after. The process
	// is alive and ready all the same.
	Degraded func() error
	// Status returns the state of the part for people, as a value for JSON; the admin listener answers it. Called for each
	// request, by several at once.
	Status func(ctx context.Context) (any, error)
	// Metrics registers the part's metrics; called once, before Run. The process puts telemetry_ before their names.
	Metrics func(reg prometheus.Registerer) error
	// Close frees the resources of the part's constructor; called after Run returned, in the order of parts.
	Close func() error
}

// Build makes a process's parts once flags are parsed; their listeners use the entrance. When it fails, it has closed everything
// that it opened. A UsageError ends the process with code 2.
type Build func(ctx context.Context, in *Entrance, lg *slog.Logger) ([]Part, error)

// Main runs a process and exits: with 0 after a clean stop, 2 for bad flags, 1 for anything else. The
// first SIGINT or SIGTERM stops the parts in order, a second one ends the process at once. When the first
// argument names one of commands, that is run instead.
func Main(name string, flags func(*flag.FlagSet), build Build, commands ...Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	code := runProcess(ctx, process{
		name: name, args: os.Args[1:], lookup: os.LookupEnv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
	}, flags, build, commands)
	os.Exit(code)
}

// process holds the inputs of Main from the operating system, so that a test can supply them.
type process struct {
	name           string
	args           []string
	lookup         func(string) (string, bool)
	stdin          io.Reader
	stdout, stderr io.Writer
}

func runProcess(ctx context.Context, p process, flags func(*flag.FlagSet), build Build, commands []Command) int {
	commands = append(slices.Clone(commands), newHealthCommand(flags))
	for _, c := range commands {
		if c.Needs == 0 {
			fmt.Fprintf(p.stderr, "%s: command %s does not say which credentials it needs\n", p.name, c.Name)
			return 2
		}
		if len(p.args) > 0 && p.args[0] == c.Name {
			return runCommand(ctx, p, c)
		}
	}
	var own config
	fs := flag.NewFlagSet(p.name, flag.ContinueOnError)
	own.registerFlags(fs)
	flags(fs)
	if err := parseFlags(fs, p, commands); errors.Is(err, errDocumented) {
		return 0
	} else if err != nil {
		fmt.Fprintf(p.stderr, "%s: %v\n", p.name, err)
		return 2
	}
	lg := own.logs.newLogger(p.stderr).With("process", p.name)
	err := serveParts(ctx, own, p.name, clusterOf(fs), lg, build)
	if usage, ok := errors.AsType[*UsageError](err); ok {
		fmt.Fprintf(p.stderr, "%s: %s\n", p.name, usage.Text)
		return 2
	}
	if err != nil {
		lg.Error("stopped", "err", err)
		return 1
	}
	return 0
}

// serveParts builds the parts and runs them behind the admin listener, which is up before them so that a
// platform sees a process that is alive and not ready yet.
func serveParts(ctx context.Context, own config, name, cluster string, lg *slog.Logger, build Build) error {
	in, err := OpenEntrance(own.entrance.access, own.entrance.tls, cluster, lg)
	if err != nil {
		return &UsageError{err.Error()}
	}
	traces, err := openTraces(ctx, own.traces, name, lg)
	if err != nil {
		return err
	}
	in.Tracer = traces.Tracer()
	adm, err := openAdmin(ctx, own, in, lg)
	if err != nil {
		return err
	}
	parts, err := build(ctx, in, lg)
	if errors.Is(err, access.ErrExposed) {
		err = &UsageError{err.Error()}
	}
	if err != nil {
		return errors.Join(err, adm.closeListener())
	}
	parts = append(parts, in.Part())
	if traces != nil {
		parts = append(parts, Part{Name: "traces", Run: traces.Run}) // last: it sends the spans of the others' ends
	}
	if err := adm.attachParts(parts); err != nil {
		return errors.Join(err, closeAll(parts), adm.closeListener())
	}
	return errors.Join(superviseParts(ctx, parts, own.stopBudget, lg), adm.closeListener())
}

// Run runs parts as Main does, without a process around them, until ctx ends or a part does. Part.Metrics
// is not called.
func Run(ctx context.Context, parts []Part, lg *slog.Logger) error {
	return superviseParts(ctx, parts, defaultStopBudget, lg)
}
