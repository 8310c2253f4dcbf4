package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
)

// leanColumns are the columns of a report for VictoriaMetrics, which takes the metric's name as a label there.
const leanColumns = "1:time:rfc3339,2:label:metric_name,3:label:gpu,4:label:uuid,5:label:modelName,6:label:Hostname,7:metric:reading"

// measureReport measures one report of a large fleet, in the long form, and what the fleet costs afterwards.
func (r *run) measureReport(ctx context.Context) error {
	name := fmt.Sprintf("one report of %d GPUs", r.set.reportGPUs)
	all := reportFigures(name)
	for round := range r.set.rounds {
		gpus, err := r.reportOnce(ctx, r.set.reportGPUs, round, all)
		if err != nil {
			return err
		}
		if err := all.cluster.timeCluster(ctx, r); err != nil {
			return err
		}
		if round == r.set.rounds-1 {
			again, err := r.uploadReport(ctx, gpus, time.Now().UTC().Truncate(time.Second))
			if err != nil {
				return err
			}
			all.again.Ours = []float64{again.visible.Seconds()}
			all.againCPU.Ours = []float64{again.perRecord(again.cpu)}
		}
	}
	r.addFigures(all.visible, all.ack, all.cpu, all.etcd, all.memory, all.cluster, all.again, all.againCPU)
	return r.drawReports(ctx, all)
}

// reports are the figures of reports of a fleet.
type reports struct{ visible, ack, cpu, etcd, memory, cluster, again, againCPU figure }

func reportFigures(name string) *reports {
	return &reports{
		visible:  figure{Name: name + ", never seen: visible", Unit: "s", Bound: bound{Max: 2}},
		ack:      figure{Name: name + ", never seen: acknowledged", Unit: "s"},
		cpu:      figure{Name: name + ", never seen: CPU per record until visible", Unit: "µs", Bound: bound{Max: 5}},
		etcd:     figure{Name: name + ", never seen: etcd in use", Unit: "B/record", Bound: bound{Max: 12}},
		memory:   figure{Name: name + ", never seen: peak of resident memory", Unit: "MB", Bound: bound{Max: 500}},
		cluster:  figure{Name: "/api/v1/cluster afterwards", Unit: "ms", Bound: bound{Max: 0.3}},
		again:    figure{Name: name + ", the next one: visible", Unit: "s", Bound: bound{Max: 2}},
		againCPU: figure{Name: name + ", the next one: CPU per record until visible", Unit: "µs", Bound: bound{Max: 5}},
	}
}

// reportOnce sends the first report of a fleet to servers without data.
func (r *run) reportOnce(ctx context.Context, size, round int, all *reports, args ...string) (*fleet.Fleet, error) {
	if err := r.startFresh(ctx, "report", args...); err != nil {
		return nil, err
	}
	gpus := fleet.NewNamed("report", size, uint64(round)+1)
	var text bytes.Buffer
	at := time.Now().UTC().Truncate(time.Second).Add(-time.Minute)
	if err := gpus.WriteLean(&text, []time.Time{at}); err != nil {
		return nil, err
	}
	records := int64(size * len(fleet.MetricNames()))
	ours, err := r.uploadOnce(ctx, "text/csv", text.Bytes(), records)
	if err != nil {
		return nil, err
	}
	theirs, err := r.importOnce(ctx, records, func() error { return r.theirs.importRows(ctx, r.client, leanColumns, text.Bytes()) })
	if err != nil {
		return nil, err
	}
	for i := range comparedGPUs {
		if err := r.compareLong(ctx, gpus.GPU(i*12_377).UUID, at, at); err != nil {
			return nil, err
		}
	}
	all.visible.add(ours.visible.Seconds(), theirs.visible.Seconds())
	all.ack.add(ours.acknowledged.Seconds(), theirs.acknowledged.Seconds())
	all.cpu.add(ours.perRecord(ours.cpu), theirs.perRecord(theirs.cpu))
	all.etcd.Ours = append(all.etcd.Ours, float64(ours.etcd)/float64(records))
	all.memory.add(float64(ours.peak)/1e6, float64(theirs.peak)/1e6)
	return gpus, nil
}

// uploadReport sends a further report of a fleet to our server.
func (r *run) uploadReport(ctx context.Context, gpus *fleet.Fleet, at time.Time) (*arrival, error) {
	var text bytes.Buffer
	if err := gpus.WriteLean(&text, []time.Time{at}); err != nil {
		return nil, err
	}
	return r.uploadOnce(ctx, "text/csv", text.Bytes(), int64(r.set.reportGPUs*len(fleet.MetricNames())))
}

const clusterAskings = 200

// timeCluster adds the median time of the fleet's totals.
func (f *figure) timeCluster(ctx context.Context, r *run) error {
	var side timedSide
	for range clusterAskings {
		if err := side.timeOnce(r.ours.Process, func() error {
			_, err := r.client.Get(ctx, r.ours.Queries+"/api/v1/cluster")
			return err
		}); err != nil {
			return err
		}
	}
	f.Ours = append(f.Ours, measure.Median(side.times))
	return nil
}

// reportSizes returns the sizes of the curves, besides the largest.
func reportSizes() []int { return []int{100, 1000, 10_000} }

// drawReports measures reports of smaller fleets, for the curves of costs by the size of a fleet.
func (r *run) drawReports(ctx context.Context, largest *reports) error {
	cost := curve{File: "report.svg", Title: "One report of a fleet never seen: CPU per record", X: "GPUs", Y: "µs", Lines: []line{{Name: "here"}, {Name: "VictoriaMetrics"}}}
	totals := curve{File: "cluster.svg", Title: "/api/v1/cluster", X: "GPUs", Y: "ms", Lines: []line{{Name: "here"}}}
	point := func(size int, f *reports) {
		x := float64(size)
		cost.Lines[0].add(x, f.cpu.median())
		cost.Lines[1].add(x, f.cpu.peerMedian())
		totals.Lines[0].add(x, f.cluster.median())
	}
	for _, size := range reportSizes() {
		if size >= r.set.reportGPUs {
			continue
		}
		f := reportFigures("")
		if _, err := r.reportOnce(ctx, size, 0, f); err != nil {
			return err
		}
		if err := f.cluster.timeCluster(ctx, r); err != nil {
			return err
		}
		point(size, f)
		if size == 10_000 {
			f.cluster.Name = "/api/v1/cluster at 10,000 GPUs"
			r.addFigure(f.cluster)
		}
	}
	point(r.set.reportGPUs, largest)
	r.now.Curves = append(r.now.Curves, cost, totals)
	return nil
}

func (l *line) add(x, y float64) { l.X, l.Y = append(l.X, x), append(l.Y, y) }
