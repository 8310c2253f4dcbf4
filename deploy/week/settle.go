package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

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
func (out *measurements) settleDown(ctx context.Context, s *server) error {
	began, changed := time.Now(), time.Now()
	for time.Since(began) < out.settle {
		now, err := lookInto(filepath.Join(s.data, "archive"))
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

// lookInto sums up the archive's objects. Those that come and go meanwhile do not matter.
func lookInto(dir string) (stored, error) {
	all := stored{byKind: map[string]int64{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		all.objects++
		all.bytes += info.Size()
		all.byKind[kindOf(path)] += info.Size()
		return nil
	})
	return all, err
}

// kindOf returns the folder of an object, which names its kind.
func kindOf(path string) string {
	for _, kind := range []string{"records", "events", "minutes", "hours"} {
		if strings.Contains(filepath.ToSlash(path), "/"+kind+"/") {
			return kind
		}
	}
	return "other"
}
