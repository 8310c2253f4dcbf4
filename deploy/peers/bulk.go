package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
	"telemetry-pipeline/events/wait"
)

const (
	bulkHosts  = 125 // in one upload
	bulkSlices = 4   // of the whole time, so that growth shows
)

// vitals is the state of our process at one time.
type vitals struct {
	at        time.Time
	resident  int64
	mapped    int64 // of these, bytes of files
	etcd      int64 // bytes of the database file
	etcdInUse int64
	written   int64 // bytes written to disks since its start
}

// measureBulk measures the same stream in uploads of many hosts, for minutes, so that archiving and compaction
// compete with it.
func (r *run) measureBulk(ctx context.Context) error {
	if err := r.startBoth(ctx, filepath.Join(r.dir, "bulk")); err != nil {
		return err
	}
	gpus := func() *fleet.Fleet { return fleet.New(r.set.streamGPUs, 1) }
	ourStart := time.Now().UTC().Truncate(time.Millisecond)
	ours, samples, err := r.playBulk(ctx, perSecond(gpus(), bulkHosts, ourStart))
	if err != nil {
		return err
	}
	theirStart := time.Now().UTC().Truncate(time.Millisecond)
	p := perSecond(gpus(), bulkHosts, theirStart)
	theirs, err := measure.SendPaced(ctx, r.importTarget(), streamClients, p.Uploads(r.set.bulkFor/bulkSlices), p.Pause(), r.set.bulkFor, p.AppendUpload)
	if err != nil {
		return err
	}
	values := r.set.streamGPUs * len(fleet.MetricNames()) / int(p.Senders())
	name := fmt.Sprintf("the same in uploads of %d hosts, for %s", bulkHosts, r.set.bulkFor)
	r.addFigures(
		figure{Name: name, Unit: "records/s", Ours: []float64{ours.PerSecond() * float64(values)}, Theirs: []float64{theirs.PerSecond() * float64(values)}},
		figure{Name: name + ": CPU of the server per record", Unit: "µs", Ours: []float64{ours.CPUPer(values)}, Theirs: []float64{theirs.CPUPer(values)}},
		figure{Name: name + ": p99 of the answers", Unit: "ms", Ours: []float64{measure.Percentile(ours.Answers, 0.99)}, Theirs: []float64{measure.Percentile(theirs.Answers, 0.99)}, Bound: bound{Max: 150}},
	)
	if err := r.addVitals(name, samples); err != nil {
		return err
	}
	last := min(ours.Sent, theirs.Sent) / p.Senders()
	return r.compareRaw(ctx, gpus(), ourStart, theirStart, time.Duration(last)*time.Second)
}

// playBulk sends the stream to our server and samples its vitals each second.
func (r *run) playBulk(ctx context.Context, p *fleet.Stream) (*measure.Load, []vitals, error) {
	watching, stop := context.WithCancel(ctx)
	samples := make(chan []vitals)
	go func() { samples <- r.watchVitals(watching) }()
	out, err := measure.SendPaced(ctx, r.uploadTarget(""), streamClients, p.Uploads(r.set.bulkFor), p.Pause(), 2*r.set.bulkFor, p.AppendUpload)
	stop()
	return out, <-samples, err
}

// watchVitals samples until ctx ends. A sample that cannot be had is left out.
func (r *run) watchVitals(ctx context.Context) (all []vitals) {
	client := measure.NewClient(1)
	for wait.Sleep(ctx, time.Second) {
		use, err := r.ours.Usage()
		if err != nil {
			continue
		}
		size, err := r.ours.EtcdSize(ctx, client)
		if err != nil {
			continue
		}
		all = append(all, vitals{time.Now(), use.Resident, use.Mapped, size.Bytes, size.InUse, use.Written})
	}
	return all
}

// addVitals adds the memory, in all and by parts of the time, and the growth of etcd over the second half.
func (r *run) addVitals(name string, all []vitals) error {
	if len(all) < 2*bulkSlices {
		return fmt.Errorf("only %d samples of the server's state could be taken", len(all))
	}
	var x, inUse []float64
	for _, v := range all[len(all)/2:] {
		x, inUse = append(x, v.at.Sub(all[0].at).Seconds()), append(inUse, float64(v.etcdInUse)/1e6)
	}
	first, last := all[0], all[len(all)-1]
	r.addFigures(
		memoryByQuarter(name, all),
		figure{Name: name + ": written to disk", Unit: "MB/s", Ours: []float64{float64(last.written-first.written) / 1e6 / last.at.Sub(first.at).Seconds()}},
		figure{Name: name + ": growth of etcd in the second half", Unit: "MB/s", Ours: []float64{measure.Slope(x, inUse)}, Bound: bound{Max: 2}},
		figure{Name: name + ": etcd in use at the end", Unit: "MB", Ours: []float64{float64(last.etcdInUse) / 1e6}},
	)
	return nil
}

// memoryByQuarter returns the most memory, with the most of each quarter of the time as a note.
func memoryByQuarter(name string, all []vitals) figure {
	var resident, mapped []float64
	for i := range bulkSlices {
		var most vitals
		for _, v := range all[i*len(all)/bulkSlices : (i+1)*len(all)/bulkSlices] {
			if v.resident > most.resident {
				most = v
			}
		}
		resident, mapped = append(resident, float64(most.resident)/(1<<20)), append(mapped, float64(most.mapped)/(1<<20))
	}
	return figure{
		Name: name + ": most resident memory", Unit: "MiB", Ours: []float64{slices.Max(resident)}, Bound: bound{Max: 600 * 1e6 / (1 << 20)},
		Note: fmt.Sprintf("by quarter: %.0f; of these pages of files, which the kernel can drop: %.0f", resident, mapped),
	}
}
