package main

import (
	"context"
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

func main() {
	var set settings
	flag.DurationVar(&set.duration, "duration", time.Minute, "how long faults are injected")
	flag.Uint64Var(&set.seed, "seed", 1, "what the schedule and the uploads are made of")
	flag.DurationVar(&set.ttl, "lease-ttl", 5*time.Second, "lease of the collectors; short, so that it is often lost")
	flag.BoolVar(&set.access, "access", true, "listeners with TLS and tokens, and an etcd with TLS and users; without, everything is open")
	flag.StringVar(&set.previous, "previous", previousRelease, "commit of the release that the daemons begin with, and are exchanged one by one; empty leaves the rolling upgrade out")
	flag.Func("only", "kinds of targets, comma-separated: etcd, collectd, ingestd, queryd, network, upgrade; all when not given", func(text string) error {
		set.only = strings.Split(text, ",")
		if !slices.Contains(set.only, upgradeTrack) && len(planFaults(0, time.Hour, set.ttl, nil, set.only...)) == 0 {
			return errors.New("names none of them")
		}
		return nil
	})
	report := flag.String("report", "", "file for the report, beside standard output")
	keep := flag.Bool("keep", false, "keep the directory with data and logs, which a broken promise keeps in any case")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := breakThings(ctx, set, *report, *keep)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

// breakThings makes a run and its report. It is false when a promise was broken.
func breakThings(ctx context.Context, set settings, path string, keep bool) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "telemetry-chaos-")
	if err != nil {
		return false, err
	}
	start := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%7.2fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
	out, err := runChaos(ctx, dir, set, say)
	if err != nil {
		return false, fmt.Errorf("%w (data and logs: %s)", err, dir)
	}
	ok = out.allKept()
	text := out.writeReport()
	fmt.Print(text)
	if path != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return ok, err
		}
	}
	if !ok {
		fmt.Fprintf(os.Stderr, "a promise is broken; the same schedule again: go run ./deploy/chaos %s\n", set)
	}
	if keep || !ok {
		fmt.Fprintf(os.Stderr, "data and logs: %s\n", dir)
		return ok, nil
	}
	return ok, os.RemoveAll(dir)
}
