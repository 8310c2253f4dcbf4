package archive

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// fleetLog is the log that all events of tests are of.
var fleetLog = events.Revision{Epoch: 0x1f, Cluster: 0x2e}

// fleetStart is the first record time of a fleet.
var fleetStart = events.TimestampOf(time.Date(2025, 7, 18, 0, 0, 0, 0, time.UTC))

// fleetMetrics are the metrics of a gpu, in the order of gpu.nextReadings.
var fleetMetrics = []string{
	"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_ENC_UTIL", "DCGM_FI_DEV_DEC_UTIL", "DCGM_FI_DEV_FB_USED",
	"DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_MEM_CLOCK",
}

// gpu behaves like one of a training cluster: jobs of half an hour to five hours, then idle for as long.
type gpu struct {
	noise *rand.Rand
	id    *events.Identity
	busy  bool
	left  int
	used  int64
	heat  float64
}

func newGPU(host string, index int, noise *rand.Rand) *gpu {
	uuid := fmt.Sprintf("GPU-%08x-%04x-%04x-%04x-%012x", noise.Uint32(), noise.IntN(1<<16), noise.IntN(1<<16), noise.IntN(1<<16), noise.Int64N(1<<48))
	return &gpu{noise: noise, heat: 28, left: noise.IntN(300), id: &events.Identity{
		UUID: uuid, Index: fmt.Sprint(index), Device: fmt.Sprintf("nvidia%d", index), Model: "NVIDIA H100 80GB HBM3", Driver: "535.129.03",
		Labels: []events.Label{{Name: "instance", Value: host + ":9400"}, {Name: "job", Value: "dgx_dcgm_exporter"}},
	}}
}

// nextReadings returns the next readings.
func (g *gpu) nextReadings() []events.Number {
	if g.left--; g.left <= 0 {
		g.busy, g.left, g.used = !g.busy, 60+g.noise.IntN(540), 0
		if g.busy {
			g.used = 20_000 + g.noise.Int64N(58_000)
		}
	}
	util, copied, power, clock, warm := 0.0, 0.0, 70+g.noise.NormFloat64()*0.4, int64(345), 28.0
	if g.busy {
		util = min(100, max(0, 93+g.noise.NormFloat64()*6))
		copied = min(100, max(0, util*0.45+g.noise.NormFloat64()*4))
		power = 90 + util*5.5 + g.noise.NormFloat64()*12
		if clock = 1980; g.noise.IntN(10) == 0 {
			clock -= 15 * g.noise.Int64N(6)
		}
		warm = 62
	}
	g.heat += (warm-g.heat)*0.05 + g.noise.NormFloat64()*0.25
	return []events.Number{
		events.Int(int64(util)), events.Int(int64(copied)), events.Int(0), events.Int(0), events.Int(g.used), events.Int(81_559 - g.used),
		events.Int(int64(g.heat)), events.NumberOf(int64(math.Round(power*1000)), -3), events.Int(clock), events.Int(2619),
	}
}

// fleetEvents yields the events of hosts of 8 GPUs that are read each 30 s, cut from a stream after the given rows of a
// host; a row is the readings of a GPU at one time. The same arguments yield the same events.
func fleetEvents(hosts, steps, rows int) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		noise := rand.New(rand.NewPCG(7, uint64(hosts)))
		var gpus [][]*gpu
		for h := range hosts {
			var all []*gpu
			for i := range 8 {
				all = append(all, newGPU(fleetHost(h), i, noise))
			}
			gpus = append(gpus, all)
		}
		cutter := events.NewCutter(events.CutRules{EventRecords: rows}, "upload-1", "")
		revision := fleetLog
		give := func(evs []events.Event, at events.Timestamp) bool {
			for _, ev := range evs {
				revision.Number++
				ev.Revision, ev.AppendedAt = revision, at+5_000_000
				ev.Key = "/telemetry/" + events.EventKey("default-cluster", 64, &ev).String()
				if !yield(ev, nil) {
					return false
				}
			}
			return true
		}
		at := fleetStart
		for range steps {
			for h, all := range gpus {
				for _, g := range all {
					if !give(cutter.Row(events.HostID(fleetHost(h)), 100, g.records(at)), at) {
						return
					}
				}
			}
			at += events.Timestamp(30 * time.Second)
		}
		give(cutter.Flush(), at)
	}
}

func fleetHost(h int) string { return fmt.Sprintf("mtv5-dgx1-hgpu-%03d", h) }

func (g *gpu) records(at events.Timestamp) []events.Record {
	var records []events.Record
	for i, n := range g.nextReadings() {
		records = append(records, events.Record{
			Identity: g.id, Metric: fleetMetrics[i], Source: fleetMetrics[i], At: at, Value: events.Value{Number: n}, Text: []byte(n.String()),
		})
	}
	return records
}

// openDir opens a store in a directory of the test.
func openDir(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// rangeUpto is the range of the fleet's log up to a revision.
func rangeUpto(number int64) Range {
	last := fleetLog
	last.Number = number
	return Range{Partition: 7, Upto: last}
}
