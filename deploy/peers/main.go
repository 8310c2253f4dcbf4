package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	only    []string
	rounds  int
	quick   bool
	binary  string
	data    string
	form    string
	json    string
	docs    string
	history historyPlan
	year    historyPlan

	smallFor, streamFor time.Duration // of each round
	bulkFor             time.Duration
	streamGPUs          int
	newGPUs             int
	reportGPUs          int
	listGPUs            int
	sockets             int
	socketsFor          time.Duration
	fileTimes           int
}

// parseFlags reads the command line.
func parseFlags(args []string) (set settings, err error) {
	fs := flag.NewFlagSet("peers", flag.ContinueOnError)
	only := fs.String("only", "", "rows to measure, comma-separated; all by default: "+strings.Join(rowNames(), ", "))
	fs.IntVar(&set.rounds, "rounds", 5, "rounds of each row")
	fs.BoolVar(&set.quick, "quick", false, "a tenth of the sizes, and three rounds; flags that are given explicitly hold")
	fs.StringVar(&set.binary, "binary", "", "standalone to measure; built from this tree by default")
	fs.StringVar(&set.data, "data", "", "directory that keeps the data of the history rows; loaded if it is empty, used again if it was loaded with the same parameters")
	fs.StringVar(&set.form, "form", "columns", "form of our answers to history queries: columns, csv or json")
	fs.StringVar(&set.json, "json", "", "file for the report as JSON")
	fs.StringVar(&set.docs, "docs", "", "directory with PERFORMANCE.md, whose sections of the measured rows are written again, and with its curves")
	fs.IntVar(&set.history.GPUs, "history.gpus", 256, "GPUs in the data of the history rows")
	fs.IntVar(&set.history.Days, "history.days", 7, "days in the data of the history rows")
	fs.DurationVar(&set.history.Every, "history.every", time.Minute, "interval of the samples of all days but the last")
	fs.DurationVar(&set.history.DayEvery, "history.day-every", 10*time.Second, "interval of the samples of the last day and of the newest hours")
	fs.IntVar(&set.history.HotHours, "history.hot-hours", 5, "newest hours, which stay in etcd")
	fs.Uint64Var(&set.history.Seed, "history.seed", 1, "seed of the fleet")
	set.year = historyPlan{DayEvery: time.Minute, HotHours: 1, Seed: 1}
	fs.IntVar(&set.year.GPUs, "year.gpus", 8, "GPUs in the data of the year")
	fs.IntVar(&set.year.Days, "year.days", 366, "days in the data of the year")
	fs.DurationVar(&set.year.Every, "year.every", 5*time.Minute, "interval of the samples in the data of the year")
	fs.DurationVar(&set.smallFor, "small.for", 4*time.Second, "time of small uploads in each round")
	fs.DurationVar(&set.streamFor, "stream.for", 12*time.Second, "time of a stream of scrapes in each round")
	fs.DurationVar(&set.bulkFor, "bulk.for", 3*time.Minute, "time of a stream of uploads of many hosts")
	fs.IntVar(&set.newGPUs, "new.gpus", 10_000, "GPUs of a file of GPUs never seen")
	fs.IntVar(&set.reportGPUs, "report.gpus", 50_000, "GPUs of one report")
	fs.IntVar(&set.listGPUs, "list.gpus", 10_000, "GPUs of lists")
	fs.IntVar(&set.sockets, "sockets", 10_000, "subscribers over WebSocket")
	fs.DurationVar(&set.socketsFor, "sockets.for", 10*time.Second, "time of updates to subscribers in each round")
	fs.IntVar(&set.fileTimes, "file.times", 97, "samples of 256 GPUs in a large file of the long form; 97 make 248,320 rows")
	fs.IntVar(&set.streamGPUs, "stream.gpus", 10_000, "GPUs of a stream")
	if err := fs.Parse(args); err != nil {
		return set, err
	}
	if set.quick {
		given := map[string]bool{}
		fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
		set.shorten(given)
	}
	if *only != "" {
		set.only = strings.Split(*only, ",")
	}
	for _, name := range set.only {
		if !slices.Contains(rowNames(), name) {
			return set, fmt.Errorf("flag only: %q is no row; there are %s", name, strings.Join(rowNames(), ", "))
		}
	}
	if set.quick && set.docs != "" {
		return set, errors.New("flag docs: a quick run measures smaller sizes than the document is about")
	}
	if set.rounds < 1 {
		return set, fmt.Errorf("flag rounds: %d is not at least 1", set.rounds)
	}
	return set, nil
}

// shorten sets every size that was not given to the one of a quick run.
func (set *settings) shorten(given map[string]bool) {
	shortenTo(given, "rounds", &set.rounds, 3)
	shortenTo(given, "history.gpus", &set.history.GPUs, 64)
	shortenTo(given, "history.days", &set.history.Days, 2)
	shortenTo(given, "year.days", &set.year.Days, 31)
	shortenTo(given, "small.for", &set.smallFor, time.Second)
	shortenTo(given, "stream.for", &set.streamFor, 4*time.Second)
	shortenTo(given, "bulk.for", &set.bulkFor, 16*time.Second)
	shortenTo(given, "new.gpus", &set.newGPUs, 2000)
	shortenTo(given, "report.gpus", &set.reportGPUs, 5000)
	shortenTo(given, "list.gpus", &set.listGPUs, 2000)
	shortenTo(given, "sockets", &set.sockets, 1000)
	shortenTo(given, "sockets.for", &set.socketsFor, 5*time.Second)
	shortenTo(given, "file.times", &set.fileTimes, 10)
	shortenTo(given, "stream.gpus", &set.streamGPUs, 2000)
}

func shortenTo[T any](given map[string]bool, name string, value *T, short T) {
	if !given[name] {
		*value = short
	}
}

func main() {
	set, err := parseFlags(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = measureAll(ctx, set)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// measureAll makes a run and writes its report.
func measureAll(ctx context.Context, set settings) error {
	if _, err := findVictoria(); err != nil {
		fmt.Println("skipped:", err)
		return nil
	}
	r, err := newRun(ctx, set)
	if err != nil {
		return err
	}
	defer os.RemoveAll(r.dir)
	if err := r.measureRows(ctx); err != nil {
		return err
	}
	fmt.Print(r.out.writeTables())
	if set.json != "" {
		text, err := json.MarshalIndent(r.out, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(set.json, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if set.docs != "" {
		if err := r.out.writeDocument(set.docs); err != nil {
			return err
		}
	}
	if failed := r.out.failures(); len(failed) > 0 {
		return fmt.Errorf("%d rows could not be measured: %s", len(failed), strings.Join(failed, "; "))
	}
	return nil
}
