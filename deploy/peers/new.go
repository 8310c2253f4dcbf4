package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"telemetry-pipeline/deploy/fleet"
)

const newSamples = 3 // of each GPU in the file of GPUs never seen

// measureNew measures a file of GPUs that neither server has seen, each round on servers without data.
func (r *run) measureNew(ctx context.Context) error {
	records := int64(r.set.newGPUs * len(fleet.MetricNames()) * newSamples)
	name := fmt.Sprintf("%d GPUs never seen × 10 × %d in one file", r.set.newGPUs, newSamples)
	ack := figure{Name: name + ": acknowledged", Unit: "s", Bound: bound{Max: 0.7}}
	visible := figure{Name: name + ": visible", Unit: "s"}
	cpu := figure{Name: name + ": CPU per record until visible", Unit: "µs"}
	memory := figure{Name: name + ": peak of memory over the one before", Unit: "MB", Bound: bound{Max: 100}}
	for round := range r.set.rounds {
		if err := r.startFresh(ctx, "new"); err != nil {
			return err
		}
		gpus := fleet.NewNamed("new", r.set.newGPUs, uint64(round)+1)
		base := time.Now().UTC().Truncate(time.Second).Add(-time.Minute)
		var text []byte
		for i := range newSamples {
			frame := gpus.Advance()
			for host := range gpus.Hosts() {
				text = frame.AppendScrape(text, host, base.Add(time.Duration(i)*time.Second))
			}
		}
		ours, err := r.uploadOnce(ctx, kindText, text, records)
		if err != nil {
			return err
		}
		theirs, err := r.importOnce(ctx, records, func() error {
			_, err := r.client.Post(ctx, r.importTarget().Address, kindText, bytes.NewReader(text))
			return err
		})
		if err != nil {
			return err
		}
		ack.add(ours.acknowledged.Seconds(), theirs.acknowledged.Seconds())
		visible.add(ours.visible.Seconds(), theirs.visible.Seconds())
		cpu.add(ours.perRecord(ours.cpu), theirs.perRecord(theirs.cpu))
		memory.add(float64(ours.grown)/1e6, float64(theirs.grown)/1e6)
		if err := r.compareRaw(ctx, gpus, base, base, newSamples*time.Second); err != nil {
			return err
		}
	}
	r.addFigures(ack, visible, cpu, memory)
	return nil
}

// startFresh starts both servers without data, after it has ended those that run.
func (r *run) startFresh(ctx context.Context, name string, args ...string) error {
	if err := r.stopBoth(); err != nil {
		return err
	}
	dir := filepath.Join(r.dir, name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return r.startBoth(ctx, dir, append(bigFiles(), args...)...)
}
