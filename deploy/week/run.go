package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
	"telemetry-pipeline/ingestd/upload"
)

// measurements holds the results of a run.
type measurements struct {
	settings
	client         *measure.Client
	records, sent  int64
	took           time.Duration // of all uploads, until the last one was visible
	settled        bool
	settling       time.Duration
	etcd           int64 // the largest that etcd's database was
	etcdInUse      int64 // at the end
	memory         int64 // the largest that the process was
	archive        stored
	weekByHour     []time.Duration
	weekByHourRows int
	rawDay         []time.Duration
	rawDayRows     int
}

// runWeek plays the history and measures.
func runWeek(ctx context.Context, dir string, set settings) (out *measurements, err error) {
	binary, err := measure.BuildStandalone(ctx, dir)
	if err != nil {
		return nil, err
	}
	s, err := measure.StartStandalone(ctx, binary, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	out = &measurements{settings: set, client: measure.NewClient(2)}
	began := time.Now()
	end := time.Now().UTC().Truncate(time.Hour)
	if err := out.uploadDay(ctx, s, end.AddDate(0, 0, -set.days), end); err != nil {
		return nil, err
	}
	out.took = time.Since(began)
	printStep("%d records are uploaded and visible after %s", out.records, out.took.Round(time.Second))
	if err := out.settleDown(ctx, s); err != nil {
		return nil, err
	}
	return out, out.measureQueries(ctx, s, end)
}

func printStep(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// uploadDay sends the history file by file, the last one until it is visible.
func (out *measurements) uploadDay(ctx context.Context, s *measure.Standalone, from, to time.Time) error {
	client, err := upload.New(upload.Config{URL: s.Uploads})
	if err != nil {
		return err
	}
	last, err := upload.New(upload.Config{URL: s.Uploads, Wait: true})
	if err != nil {
		return err
	}
	gpus := fleet.New(out.gpus, 1)
	for at := from; at.Before(to); {
		var times []time.Time
		for ; len(times) < out.perFile && at.Before(to); at = at.Add(out.every) {
			times = append(times, at)
		}
		if !at.Before(to) {
			client = last
		}
		if err := out.sendFile(ctx, client, gpus, times); err != nil {
			return err
		}
		if err := out.sampleState(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (out *measurements) sendFile(ctx context.Context, client *upload.Client, gpus *fleet.Fleet, times []time.Time) error {
	var text bytes.Buffer
	if err := gpus.WriteWide(&text, times); err != nil {
		return err
	}
	answer, err := client.Send(ctx, upload.Source{
		Name: times[0].Format("2006-01-02T150405.csv"), Size: int64(text.Len()),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil },
	}, nil, func(a upload.Attempt) {
		printStep("%s: %v; again in %s", times[0].Format(time.RFC3339), a.Err, a.RetryIn)
	})
	if err != nil {
		return err
	}
	if want := int64(len(times) * out.gpus * len(fleet.MetricNames())); !answer.Success || answer.Accepted != want {
		return fmt.Errorf("uploading from %s: %d of %d records accepted: %s", times[0], answer.Accepted, want, answer.Error)
	}
	out.records += answer.Accepted
	out.sent += int64(text.Len())
	return nil
}

// sampleState notes how large things are now.
func (out *measurements) sampleState(ctx context.Context, s *measure.Standalone) error {
	size, err := s.EtcdSize(ctx, out.client)
	if err != nil {
		return err
	}
	use, err := s.Usage()
	if err != nil {
		return err
	}
	out.etcd, out.etcdInUse = max(out.etcd, size.Bytes), size.InUse
	out.memory = max(out.memory, use.Resident)
	return nil
}
