package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"telemetry-pipeline/deploy/measure"
	"telemetry-pipeline/events/wait"
)

// stored counts the objects of the archive.
type stored struct {
	objects int
	bytes   int64
	byKind  map[string]int64 // bytes, by the kind in an object's name
}

// quietTime is how long the archive must not change to count as settled.
const quietTime = 30 * time.Second

// settleDown waits until everything is archived and merged: until the archive has not changed for a while.
func (out *measurements) settleDown(ctx context.Context, s *measure.Standalone) error {
	began, changed := time.Now(), time.Now()
	for time.Since(began) < out.settle {
		now, err := lookInto(filepath.Join(s.Data, "archive"))
		if err != nil {
			return err
		}
		if now.objects != out.archive.objects || now.bytes != out.archive.bytes {
			printStep("the archive has %d objects, %d MiB, %.2f bytes per record", now.objects, now.bytes>>20, float64(now.bytes)/float64(out.records))
			out.archive, changed = now, time.Now()
		}
		if err := out.sampleState(ctx, s); err != nil {
			return err
		}
		if time.Since(changed) > quietTime {
			out.settled, out.settling = true, changed.Sub(began)
			return nil
		}
		if !wait.Sleep(ctx, time.Second) {
			return ctx.Err()
		}
	}
	out.settling = out.settle
	return nil
}

// lookInto sums up the archive's objects, by the folders of their kinds.
func lookInto(dir string) (stored, error) {
	all := stored{byKind: map[string]int64{}}
	kinds, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return all, err
	}
	for _, kind := range kinds {
		bytes, objects, err := measure.DirectorySize(filepath.Join(dir, kind.Name()))
		if err != nil {
			return all, err
		}
		all.objects, all.bytes, all.byKind[kind.Name()] = all.objects+objects, all.bytes+bytes, bytes
	}
	return all, nil
}
