package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// settings describe the fleet and the time that is played.
type settings struct {
	gpus, days, perFile int
	every               time.Duration
	settle              time.Duration
	keep                bool
}

func main() {
	var set settings
	flag.IntVar(&set.gpus, "gpus", 250, "GPUs of the fleet")
	flag.IntVar(&set.days, "days", 7, "days of history")
	flag.DurationVar(&set.every, "every", 30*time.Second, "between samples")
	flag.IntVar(&set.perFile, "per-file", 240, "samples in one upload")
	flag.DurationVar(&set.settle, "settle", 10*time.Minute, "how long to wait at most until everything is archived and merged")
	flag.BoolVar(&set.keep, "keep", false, "keep the directory with data and log, which a failure keeps in any case")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := playWeek(ctx, set)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "week:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// playWeek makes a run and prints its report. It is false when a bound was not kept.
func playWeek(ctx context.Context, set settings) (ok bool, err error) {
	dir, err := os.MkdirTemp("", "telemetry-week-")
	if err != nil {
		return false, err
	}
	out, err := runWeek(ctx, dir, set)
	if err != nil {
		return false, fmt.Errorf("%w (data and log: %s)", err, dir)
	}
	fmt.Print(out.writeReport())
	if ok = out.ok(); set.keep || !ok {
		fmt.Fprintln(os.Stderr, "data and log:", dir)
		return ok, nil
	}
	return ok, os.RemoveAll(dir)
}
