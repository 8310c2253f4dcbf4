package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
)

// settings are the flags.
type settings struct {
	duration, every time.Duration
	gpus            int
	hostsPerUpload  int
	binary, samples string
}

func main() {
	var set settings
	flag.DurationVar(&set.duration, "duration", time.Hour, "how long to send")
	flag.DurationVar(&set.every, "every", time.Second, "between two scrapes of a host")
	flag.IntVar(&set.gpus, "gpus", 2000, "GPUs of the fleet")
	flag.IntVar(&set.hostsPerUpload, "hosts-per-upload", 1, "hosts whose scrapes are one upload")
	flag.StringVar(&set.binary, "binary", "", "standalone to drive; built from this tree by default")
	flag.StringVar(&set.samples, "samples", "", "file for the samples as CSV")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	flat, err := soakFor(ctx, set)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	if !flat {
		os.Exit(1)
	}
}

const (
	played     = 48 * time.Hour // of readings
	playedGap  = 2 * time.Hour  // between the last reading and the end of the run
	parts      = 20             // of the duration, to which intervals of the server are set
	leastPart  = 5 * time.Second
	sendersMax = 32
	cacheBytes = 8 << 20 // of the server, so that it is full by the middle
)

// soakFor makes a run and prints its report. It is false when something is not flat.
func soakFor(ctx context.Context, set settings) (flat bool, err error) {
	if set.duration < set.every || set.every <= 0 {
		return false, errors.New("flags duration, every: at least one scrape of each host must be sent")
	}
	dir, err := os.MkdirTemp("", "telemetry-soak-")
	if err != nil {
		return false, err
	}
	if set.binary == "" {
		if set.binary, err = measure.BuildStandalone(ctx, dir); err != nil {
			return false, err
		}
	}
	part := max(set.duration/parts, leastPart).Round(time.Second)
	server, err := measure.StartStandalone(ctx, set.binary, dir,
		"-archive.interval="+part.String(), "-hot.window="+(2*part).String(), "-compact.interval="+part.String(), "-history.cache="+strconv.Itoa(cacheBytes))
	if err != nil {
		return false, err
	}
	flat, err = driveServer(ctx, set, server)
	if err = errors.Join(err, server.Stop()); err != nil || !flat {
		fmt.Fprintln(os.Stderr, "data and log:", dir)
		return flat, err
	}
	return true, os.RemoveAll(dir)
}

// driveServer sends the stream, takes samples, and judges.
func driveServer(ctx context.Context, set settings, server *measure.Standalone) (bool, error) {
	intervals := max(1, int64(set.duration/set.every))
	began := time.Now().Add(set.duration - playedGap - played).UTC().Truncate(time.Second)
	stream := fleet.NewStream(fleet.New(set.gpus, 1), fleet.StreamConfig{
		HostsPerUpload: set.hostsPerUpload, Every: set.every, Step: (played / time.Duration(intervals)).Truncate(time.Millisecond), Began: began,
	})
	watching, stop := context.WithCancel(ctx)
	var all []vitals
	questions := &reader{server: server, client: measure.NewClient(1), gpus: fleet.New(set.gpus, 1), from: began, to: began.Add(played)}
	var beside sync.WaitGroup
	beside.Go(func() { all = watchVitals(watching, server) })
	beside.Go(func() { questions.askAll(watching) })
	target := measure.Target{Process: server.Process, Address: server.Uploads + "/api/v1/csv/upload", Kind: "text/plain"}
	load, err := measure.SendPaced(ctx, target, sendersMax, stream.Uploads(set.duration), stream.Pause(), 2*set.duration, stream.AppendUpload)
	stop()
	beside.Wait()
	if err != nil {
		return false, err
	}
	if set.samples != "" {
		if err := writeSamples(set.samples, all); err != nil {
			return false, err
		}
	}
	verdicts, err := judgeAll(all)
	if err != nil {
		return false, err
	}
	fmt.Printf("# %d GPUs every %s for %s\n\n%s", set.gpus, set.every, set.duration, writeVerdicts(verdicts))
	fmt.Printf("\n%d uploads, %.1f/s; answers p50 %.1f ms, p99 %.1f ms; %d were refused for a while and sent again\n",
		load.Sent, load.PerSecond(), measure.Percentile(load.Answers, 0.5), measure.Percentile(load.Answers, 0.99), load.Refused)
	fmt.Printf("%d questions were answered\n", questions.answered)
	if questions.failure != nil {
		fmt.Printf("**a question was not answered**: %v\n", questions.failure)
	}
	return keptPace(load, stream, set, len(all)) && allFlat(verdicts) && questions.failure == nil, nil
}

// keptPace reports whether the stream kept its pace and enough samples could be taken, and prints why not.
func keptPace(load *measure.Load, stream *fleet.Stream, set settings, samples int) bool {
	ok := true
	if due := stream.Uploads(set.duration); load.Sent < due || load.Elapsed.Seconds() > 1.1*set.duration.Seconds() {
		fmt.Printf("**the stream fell behind**: %d of %d uploads in %s\n", load.Sent, due, load.Elapsed.Round(time.Second))
		ok = false
	}
	if due := load.Elapsed.Seconds(); float64(samples) < leastShare*due {
		fmt.Printf("**the state could not be read**: %d samples in %.0f s\n", samples, due)
		ok = false
	}
	return ok
}

func allFlat(all []verdict) bool {
	for _, v := range all {
		if !v.flat {
			return false
		}
	}
	return true
}

// watchVitals takes a sample each second until ctx ends. One that cannot be had is left out, and missed later.
func watchVitals(ctx context.Context, s *measure.Standalone) (all []vitals) {
	client := measure.NewClient(1)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return all
		case <-tick.C:
			if v, err := readVitals(ctx, s, client); err == nil {
				all = append(all, *v)
			}
		}
	}
}
