package eventlog_test

import (
	"fmt"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// hostEvents returns the events of an upload of n hosts: rows of records of 8 GPUs and 5 metrics, each cut into an
// event.
func hostEvents(hosts, rows, round int) []events.Event {
	c := events.NewCutter(events.CutRules{EventRecords: rows}, "bench", "")
	gpus := make([]*events.Identity, 8)
	for i := range gpus {
		gpus[i] = &events.Identity{Index: fmt.Sprint(i), UUID: fmt.Sprintf("GPU-%08d", i), Model: "NVIDIA H100 80GB HBM3", Pod: "train-0"}
	}
	metrics := []string{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_SM_CLOCK"}
	var evs []events.Event
	for h := range hosts {
		host := events.HostID(fmt.Sprintf("host-%04d", h))
		for i := range rows {
			v := int64((i*7919 + h) % 1000)
			m := metrics[i/8%len(metrics)]
			evs = append(evs, c.Row(host, 300, []events.Record{{
				Identity: gpus[i%8], Metric: m, Source: m, At: events.Timestamp(int64(round)<<40 + int64(i/40)*1e9),
				Value: events.Value{Number: events.Int(v)}, Text: []byte(fmt.Sprint(v)),
			}})...)
		}
	}
	return append(evs, c.Flush()...)
}

// BenchmarkAppend appends uploads of 100 events. Its MB/s are bytes that etcd holds afterwards.
func BenchmarkAppend(b *testing.B) {
	for _, records := range []int{40, 2000} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			l := eventstest.OpenLog(b, eventstest.Config(b))
			codec, err := events.NewCodec()
			if err != nil {
				b.Fatal(err)
			}
			bytes, appended := 0, 0
			for round := 0; b.Loop(); round++ {
				b.StopTimer()
				evs := hostEvents(100, records, round)
				if round == 0 {
					for i := range evs {
						v, err := codec.Encode(nil, &evs[i])
						if err != nil {
							b.Fatal(err)
						}
						bytes += len(v)
					}
				}
				b.StartTimer()
				got, err := l.Append(b.Context(), evs)
				if err != nil {
					b.Fatal(err)
				}
				if !got[0].Created {
					b.Fatal("the events were there")
				}
				for i := range evs {
					appended += evs[i].Records()
				}
			}
			b.SetBytes(int64(bytes))
			b.ReportMetric(float64(appended)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(bytes)/float64(100*records), "B/record")
		})
	}
}

// BenchmarkRead reads a partition of 200 events of 2000 records.
func BenchmarkRead(b *testing.B) {
	cfg := eventstest.Config(b)
	cfg.Partitions = 1
	l := eventstest.OpenLog(b, cfg)
	if _, err := l.Append(b.Context(), hostEvents(200, 2000, 1)); err != nil {
		b.Fatal(err)
	}
	head, err := l.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	records := 0
	for b.Loop() {
		for e, err := range l.Read(b.Context(), 0, events.Revision{}, head) {
			if err != nil {
				b.Fatal(err)
			}
			records += e.Records()
		}
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
