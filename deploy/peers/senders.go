package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
)

const (
	smallClients = 64
	smallGPUs    = 128 // that the small uploads are about, in turns
	smallSamples = 5   // of one upload, about 1 KB
)

// measureSmall measures small uploads of many clients, each of which waits for an answer before its next one.
func (r *run) measureSmall(ctx context.Context) error {
	if err := r.startBoth(ctx, filepath.Join(r.dir, "small")); err != nil {
		return err
	}
	frame := fleet.New(smallGPUs, 1).Advance()
	rate := figure{Name: fmt.Sprintf("uploads of 1 KB, %d clients", smallClients), Unit: "1/s", Bound: bound{Min: 8000}, Note: "durable here, in memory there"}
	p99 := figure{Name: "uploads of 1 KB: p99 of the answers", Unit: "ms", Bound: bound{Max: 30}}
	cpu := figure{Name: "uploads of 1 KB: CPU of the server each", Unit: "µs", Bound: bound{Max: 200}}
	metrics := fleet.MetricNames()[:smallSamples]
	for round := range r.set.rounds {
		base := time.Now().UTC().Truncate(time.Hour).AddDate(0, 0, -r.set.rounds+round)
		body := func(text []byte, n int64) []byte {
			return frame.AppendGPU(text, int(n%smallGPUs), metrics, base.Add(time.Duration(n/smallGPUs)*time.Second))
		}
		ours, err := measure.SendLoop(ctx, r.uploadTarget(""), smallClients, r.set.smallFor, body)
		if err != nil {
			return err
		}
		theirs, err := measure.SendLoop(ctx, r.importTarget(), smallClients, r.set.smallFor, body)
		if err != nil {
			return err
		}
		rate.add(ours.PerSecond(), theirs.PerSecond())
		p99.add(measure.Percentile(ours.Answers, 0.99), measure.Percentile(theirs.Answers, 0.99))
		cpu.add(ours.CPUPer(1), theirs.CPUPer(1))
		until := base.Add(time.Duration(min(ours.Sent, theirs.Sent)/smallGPUs) * time.Second)
		if err := r.compareRaw(ctx, fleet.New(smallGPUs, 1), base, base, until.Sub(base)); err != nil {
			return err
		}
	}
	r.addFigures(rate, p99, cpu)
	return r.addMemory("small uploads")
}

const (
	streamClients = 64
	streamValues  = fleet.GPUsPerHost * 10 // of one host's scrape
)

// measureStream measures a fleet whose hosts send a scrape each second.
func (r *run) measureStream(ctx context.Context) error {
	if err := r.startBoth(ctx, filepath.Join(r.dir, "stream")); err != nil {
		return err
	}
	name := fmt.Sprintf("%d GPUs × 10 metrics at 1 Hz, a scrape per host", r.set.streamGPUs)
	rate := figure{Name: name, Unit: "records/s", Bound: bound{Min: 0.98 * 10 * float64(r.set.streamGPUs)}}
	cpu := figure{Name: name + ": CPU of the server per record", Unit: "µs", Bound: bound{Max: 8}}
	p99 := figure{Name: name + ": p99 of the answers, from the instant at which a scrape was due", Unit: "ms"}
	age := figure{Name: name + ": age of the newest reading that REST shows, p99", Unit: "s", Bound: bound{Max: 2}}
	prometheus := figure{Name: name + ": CPU per record, beside Prometheus, which scrapes the hosts itself", Unit: "µs"}
	scraped := figure{Name: name + ": records/s, beside Prometheus", Unit: "records/s"}
	var bytes []figure
	for round := range r.set.rounds {
		prefix := fmt.Sprintf("stream-%d", round)
		gpus := fleet.NewNamed(prefix, r.set.streamGPUs, uint64(round)+1)
		ourStart := time.Now().UTC().Truncate(time.Millisecond)
		ours, ages, err := r.playStream(ctx, gpus, ourStart)
		if err != nil {
			return err
		}
		gpus = fleet.NewNamed(prefix, r.set.streamGPUs, uint64(round)+1)
		theirStart := time.Now().UTC().Truncate(time.Millisecond)
		theirs, err := playScrapes(ctx, r.importTarget(), perSecond(gpus, 1, theirStart), r.set.streamFor)
		if err != nil {
			return err
		}
		rate.add(ours.PerSecond()*streamValues, theirs.PerSecond()*streamValues)
		cpu.add(ours.CPUPer(streamValues), theirs.CPUPer(streamValues))
		p99.add(measure.Percentile(ours.Answers, 0.99), measure.Percentile(theirs.Answers, 0.99))
		age.Ours = append(age.Ours, measure.Percentile(ages, 0.99))
		scrapes, err := r.playPrometheus(ctx, fleet.NewNamed(prefix, r.set.streamGPUs, uint64(round)+1), round)
		if err != nil {
			return err
		}
		scraped.add(ours.PerSecond()*streamValues, scrapes.PerSecond())
		prometheus.add(ours.CPUPer(streamValues), scrapes.CPUPer(1))
		seconds := min(ours.Sent, theirs.Sent) / int64(gpus.Hosts())
		if err := r.compareRaw(ctx, gpus, ourStart, theirStart, time.Duration(seconds)*time.Second); err != nil {
			return err
		}
		if round == 0 {
			now, err := r.readEtcdBytes(ctx)
			if err != nil {
				return err
			}
			bytes = now.figures(name, ours.Sent*streamValues, bound{}, bound{}, bound{Max: 12})
		}
	}
	r.addFigures(rate, cpu, p99, age, scraped, prometheus)
	r.addFigures(bytes...)
	return r.addMemory("scrapes of single hosts")
}

// playScrapes sends scrapes at their pace for a while.
func playScrapes(ctx context.Context, t measure.Target, p *fleet.Stream, during time.Duration) (*measure.Load, error) {
	return measure.SendPaced(ctx, t, streamClients, p.Uploads(during), p.Pause(), 2*during, p.AppendUpload)
}

// playStream sends scrapes to our server and watches how old the newest readings of GPUs are that REST shows, in seconds.
func (r *run) playStream(ctx context.Context, gpus *fleet.Fleet, began time.Time) (*measure.Load, []float64, error) {
	watching, stop := context.WithCancel(ctx)
	ages := make(chan []float64)
	go func() { ages <- r.watchAge(watching, gpus) }()
	out, err := playScrapes(ctx, r.uploadTarget(""), perSecond(gpus, 1, began), r.set.streamFor)
	stop()
	return out, <-ages, err
}

// addFigures adds several figures.
func (r *run) addFigures(all ...figure) {
	for _, f := range all {
		r.addFigure(f)
	}
}

// add adds the values of a round.
func (f *figure) add(ours, theirs float64) {
	f.Ours, f.Theirs = append(f.Ours, ours), append(f.Theirs, theirs)
}

// perSecond returns the stream of a fleet whose hosts report once a second.
func perSecond(gpus *fleet.Fleet, hostsPerUpload int, began time.Time) *fleet.Stream {
	return fleet.NewStream(gpus, fleet.StreamConfig{HostsPerUpload: hostsPerUpload, Every: time.Second, Began: began})
}
