package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
)

// run is a run of the program: the servers that are running, and the report.
type run struct {
	set        settings
	dir        string // of everything that the run makes, removed at its end
	historyDir string // of the data of the history rows
	binary     string // of standalone
	victoria   string // the peer's program
	form       form
	client     *measure.Client
	out        report
	now        result // of the row that is being measured

	ours   *measure.Standalone
	theirs *victoria
	gpus   *fleet.Fleet
}

// row is a part of the measurements that can be chosen by its name.
type row struct {
	name    string
	measure func(*run, context.Context) error
}

// rows returns all rows in the order in which they are measured.
func rows() []row {
	return []row{
		{"history", (*run).measureHistory},
		{"year", (*run).measureYear},
		{"small", (*run).measureSmall},
		{"stream", (*run).measureStream},
		{"bulk", (*run).measureBulk},
		{"new", (*run).measureNew},
		{"report", (*run).measureReport},
		{"partitions", (*run).measurePartitions},
		{"lists", (*run).measureLists},
		{"sockets", (*run).measureSockets},
		{"file", (*run).measureFile},
	}
}

func rowNames() (names []string) {
	for _, w := range rows() {
		names = append(names, w.name)
	}
	return names
}

// measureRows measures the chosen rows. A row that fails does not keep the others from being measured.
func (r *run) measureRows(ctx context.Context) error {
	for _, w := range rows() {
		if len(r.set.only) > 0 && !slices.Contains(r.set.only, w.name) {
			continue
		}
		r.printStep("%s:", w.name)
		r.now = result{Row: w.name, At: time.Now().UTC()}
		err := w.measure(r, ctx)
		err = errors.Join(err, r.stopBoth())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.now.Took, r.now.Rounds = time.Since(r.now.At), r.now.mostRounds()
		if err != nil {
			r.now.Failure = err.Error()
			r.printStep("%s: %v", w.name, err)
		}
		r.out.Results = append(r.out.Results, r.now)
		r.printStep("%s: measured in %s", w.name, r.now.Took.Round(time.Second))
	}
	return nil
}

// newRun prepares a run: directories, programs, versions.
func newRun(ctx context.Context, set settings) (r *run, err error) {
	r = &run{set: set, binary: set.binary, historyDir: set.data, client: measure.NewClient(64)}
	if r.form, err = formNamed(set.form); err != nil {
		return nil, err
	}
	if r.victoria, err = findVictoria(); err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp("", "telemetry-peers-"); err != nil {
		return nil, err
	}
	if r.historyDir == "" {
		r.historyDir = filepath.Join(r.dir, "history")
	}
	if r.binary == "" {
		if r.binary, err = measure.BuildStandalone(ctx, r.dir); err != nil {
			return nil, err
		}
	}
	r.out = report{At: time.Now().UTC(), Processors: runtime.NumCPU(), Quick: set.quick, Versions: versions(ctx)}
	return r, nil
}

// versions returns the versions of the peers: of their packages, or as the programs print them.
func versions(ctx context.Context) (all []string) {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Package} ${Version}\n", "victoria-metrics", "prometheus").Output()
	if err == nil {
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	for _, program := range []string{"victoria-metrics", "victoria-metrics-prod", "prometheus"} {
		out, err := exec.CommandContext(ctx, program, "--version").CombinedOutput()
		if first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n"); err == nil && first != "" {
			all = append(all, first)
		}
	}
	return all
}

// startBoth starts both servers on the data in dir.
func (r *run) startBoth(ctx context.Context, dir string, args ...string) (err error) {
	if err := r.startOurs(ctx, dir, args...); err != nil {
		return err
	}
	r.theirs, err = startVictoria(ctx, r.victoria, dir)
	if err == nil {
		r.noteCommand("victoria-metrics " + strings.Join(r.theirs.args[2:], " "))
	}
	return err
}

func (r *run) startOurs(ctx context.Context, dir string, args ...string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	r.ours, err = measure.StartStandalone(ctx, r.binary, dir, args...)
	if err == nil {
		r.noteCommand("standalone " + strings.Join(args, " "))
	}
	return err
}

func (r *run) noteCommand(text string) {
	if text = strings.TrimSpace(text); !slices.Contains(r.now.Commands, text) {
		r.now.Commands = append(r.now.Commands, text)
	}
}

// restartOurs ends our process and starts it again on the same data.
func (r *run) restartOurs(ctx context.Context, dir string, args ...string) error {
	if err := r.ours.Stop(); err != nil {
		return err
	}
	r.ours = nil
	return r.startOurs(ctx, dir, args...)
}

// stopBoth ends the servers that are running.
func (r *run) stopBoth() (err error) {
	if r.ours != nil {
		err = r.ours.Stop()
	}
	if r.theirs != nil {
		err = errors.Join(err, r.theirs.Stop())
	}
	r.ours, r.theirs = nil, nil
	return err
}

// addFigure adds a figure to the report and prints it.
func (r *run) addFigure(f figure) {
	r.now.Figures = append(r.now.Figures, f)
	r.printStep("%s", f.oneLine())
}

// addMemory adds the memory of both servers.
func (r *run) addMemory(when string) error {
	ours, err := r.ours.Usage()
	if err != nil {
		return err
	}
	theirs, err := r.theirs.Usage()
	if err != nil {
		return err
	}
	mib := func(n int64) []float64 { return []float64{float64(n) / (1 << 20)} }
	r.addFigure(figure{Name: "resident memory: " + when, Unit: "MiB", Ours: mib(ours.Resident), Theirs: mib(theirs.Resident)})
	return nil
}

func (r *run) printStep(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
