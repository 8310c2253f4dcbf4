package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/ingestd/upload"
)

// historyPlan describes the data of the history rows: days of the past that leave etcd for the archive, the last of them
// in a closer interval, and, an hour later, hours that stay in etcd.
type historyPlan struct {
	GPUs     int           `json:"gpus"`
	Days     int           `json:"days"`
	Every    time.Duration `json:"every"`
	DayEvery time.Duration `json:"day_every"` // interval of the last day and of the hours
	HotHours int           `json:"hot_hours"`
	Seed     uint64        `json:"seed"`
}

// historyData is what was loaded, and when.
type historyData struct {
	Plan    historyPlan   `json:"plan"`
	End     time.Time     `json:"end"` // of the newest hour
	Records int64         `json:"records"`
	Ours    time.Duration `json:"ours"` // time of our uploads
	Theirs  time.Duration `json:"theirs"`
}

const coldGap = time.Hour // between the days and the hours

func (d *historyData) hotFrom() time.Time {
	return d.End.Add(-time.Duration(d.Plan.HotHours) * time.Hour)
}
func (d *historyData) coldUntil() time.Time { return d.hotFrom().Add(-coldGap) }
func (d *historyData) dayFrom() time.Time   { return d.coldUntil().Add(-24 * time.Hour) }
func (d *historyData) weekFrom() time.Time {
	return d.coldUntil().Add(-time.Duration(d.Plan.Days) * 24 * time.Hour)
}

// span is a part of the history with one interval between samples.
type span struct {
	from, to time.Time
	every    time.Duration
}

// spans returns the parts in the order of time.
func (d *historyData) spans() []span {
	return []span{
		{d.weekFrom(), d.dayFrom(), d.Plan.Every},
		{d.dayFrom(), d.coldUntil(), d.Plan.DayEvery},
		{d.hotFrom(), d.End, d.Plan.DayEvery},
	}
}

// hotWindow returns the hot window with which the hours stay in etcd and the days do not, however long ago they were
// loaded.
func (d *historyData) hotWindow(now time.Time) time.Duration {
	return now.Sub(d.hotFrom()).Truncate(time.Minute) + coldGap/2
}

const loadedFile = "loaded.json"

// readLoaded returns the data that a directory was loaded with, nil when it was not.
func readLoaded(dir string) (*historyData, error) {
	text, err := os.ReadFile(filepath.Join(dir, loadedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var d historyData
	return &d, json.Unmarshal(text, &d)
}

func (d *historyData) writeLoaded(dir string) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, loadedFile), text, 0o644)
}

// archiveSoon are the flags with which our server archives what was loaded within a minute, instead of an hour.
func archiveSoon(hot time.Duration) []string {
	return []string{"-archive.interval=20s", "-hot.window=" + hot.String()}
}

// loadFile is one upload.
type loadFile struct {
	name    string
	text    []byte
	records int64
}

// loadHistory sends the whole plan to both servers, one file after the other in turns, and waits until the days have
// left our etcd.
func (r *run) loadHistory(ctx context.Context, d *historyData) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client, err := upload.New(upload.Config{URL: r.ours.Uploads})
	if err != nil {
		return err
	}
	gpus := fleet.New(d.Plan.GPUs, d.Plan.Seed)
	for i, s := range d.spans() {
		if i == len(d.spans())-1 { // the hours, once the days are cold
			if err := r.awaitCold(ctx); err != nil {
				return err
			}
		}
		for file, err := range generate(ctx, gpus, d.Plan.GPUs, s) {
			if err != nil {
				return err
			}
			if err := r.loadOne(ctx, client, d, file); err != nil {
				return err
			}
		}
		r.printStep("%d records are loaded until %s: %s here, %s there", d.Records, s.to.Format(time.RFC3339), d.Ours.Round(time.Second), d.Theirs.Round(time.Second))
	}
	if err := r.theirs.flush(ctx, r.client); err != nil {
		return err
	}
	return r.awaitSettled(ctx, d.Records)
}

func (r *run) loadOne(ctx context.Context, client *upload.Client, d *historyData, file loadFile) error {
	began := time.Now()
	got, err := client.Send(ctx, upload.Source{
		Name: file.name, Size: int64(len(file.text)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(file.text)), nil },
	}, nil, func(a upload.Attempt) { r.printStep("%s: %v; again in %s", file.name, a.Err, a.RetryIn) })
	if err != nil {
		return err
	}
	if got.Accepted != file.records {
		return fmt.Errorf("%s: %d of %d records were accepted: %s", file.name, got.Accepted, file.records, got.Error)
	}
	d.Ours += time.Since(began)
	began = time.Now()
	if err := r.theirs.importWide(ctx, r.client, file.text); err != nil {
		return err
	}
	d.Theirs += time.Since(began)
	d.Records += file.records
	return nil
}

// recordsPerFile is the size of an upload of the load, about 8 MB.
const recordsPerFile = 600_000

// generate returns the files of a span. The next one is made while one is sent.
func generate(ctx context.Context, gpus *fleet.Fleet, count int, s span) func(yield func(loadFile, error) bool) {
	perTime := count * len(fleet.MetricNames())
	perFile := max(1, recordsPerFile/perTime)
	type made struct {
		file loadFile
		err  error
	}
	return func(yield func(loadFile, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		files, ended := make(chan made, 1), make(chan struct{})
		go func() {
			defer close(ended)
			defer close(files)
			for at := s.from; at.Before(s.to); {
				var times []time.Time
				for ; len(times) < perFile && at.Before(s.to); at = at.Add(s.every) {
					times = append(times, at)
				}
				var text bytes.Buffer
				err := gpus.WriteWide(&text, times)
				file := loadFile{times[0].Format("2006-01-02T150405.csv"), text.Bytes(), int64(len(times) * perTime)}
				select {
				case files <- made{file, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() { <-ended }()
		defer cancel()
		for m := range files {
			if !yield(m.file, m.err) {
				return
			}
		}
	}
}

const (
	quietTime    = 26 * time.Second // longer than the grace and the pause between two looks of the collector together
	settleWithin = 20 * time.Minute
)

// stored is what our server has of the past, and where.
type stored struct {
	chunks   int64 // in etcd
	objects  int64 // in the archive
	bytes    int64
	archived int64 // records
}

// awaitCold waits until no chunk of history is left in etcd.
func (r *run) awaitCold(ctx context.Context) error {
	return r.awaitStored(ctx, func(now stored, _ time.Duration) bool { return now.chunks == 0 })
}

// awaitSettled waits until all records are archived and nothing is moved or merged any more.
func (r *run) awaitSettled(ctx context.Context, records int64) error {
	return r.awaitStored(ctx, func(now stored, quiet time.Duration) bool { return now.archived >= records && quiet > quietTime })
}

// awaitStored waits until done returns true for the stored state and for how long it has not changed.
func (r *run) awaitStored(ctx context.Context, done func(stored, time.Duration) bool) error {
	began, changed := time.Now(), time.Now()
	var before stored
	for time.Since(began) < settleWithin {
		now, err := r.lookAtStored(ctx)
		if err != nil {
			return err
		}
		if now != before {
			before, changed = now, time.Now()
			r.printStep("the archive has %d objects of %d MiB with %d records, etcd %d chunks", now.objects, now.bytes>>20, now.archived, now.chunks)
		}
		if done(now, time.Since(changed)) {
			return nil
		}
		if !wait.Sleep(ctx, 2*time.Second) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("the archive did not settle within %s", settleWithin)
}

// lookAtStored returns what the collector counts.
func (r *run) lookAtStored(ctx context.Context) (stored, error) {
	var status struct {
		Data struct {
			Collect struct {
				Log struct {
					Chunks int64 `json:"chunks"`
				} `json:"log"`
				Archive struct {
					Objects int64 `json:"objects"`
					Bytes   int64 `json:"bytes"`
					Records int64 `json:"records"`
				} `json:"archive"`
			} `json:"collect"`
		} `json:"data"`
	}
	err := r.client.GetJSON(ctx, r.ours.Admin+"/api/v1/status", &status)
	c := status.Data.Collect
	return stored{c.Log.Chunks, c.Archive.Objects, c.Archive.Bytes, c.Archive.Records}, err
}
