package main

import (
	"context"
	"fmt"

	"telemetry-pipeline/deploy/measure"
)

// partitionCounts returns the numbers of partitions that are measured.
func (set *settings) partitionCounts() []int {
	if set.quick {
		return []int{1, 64}
	}
	return []int{1, 4, 16, 64, 256}
}

// measurePartitions measures the first report of a fleet on logs of more and more partitions.
func (r *run) measurePartitions(ctx context.Context) error {
	c := curve{File: "partitions.svg", Title: fmt.Sprintf("One report of %d GPUs: CPU per record", r.set.newGPUs), X: "partitions", Y: "µs", Lines: []line{{Name: "here"}}}
	for _, count := range r.set.partitionCounts() {
		var times, cpu []float64
		for round := range r.set.rounds {
			f := reportFigures("")
			if _, err := r.reportOnce(ctx, r.set.newGPUs, round, f, fmt.Sprintf("-cluster.partitions=%d", count)); err != nil {
				return err
			}
			times, cpu = append(times, f.visible.median()), append(cpu, f.cpu.median())
		}
		name := fmt.Sprintf("one report of %d GPUs, %d partitions: ", r.set.newGPUs, count)
		r.addFigures(figure{Name: name + "visible", Unit: "s", Ours: times}, figure{Name: name + "CPU per record", Unit: "µs", Ours: cpu})
		c.Lines[0].add(float64(count), measure.Median(cpu))
	}
	r.now.Curves = append(r.now.Curves, c)
	return nil
}
