package history

import (
	"fmt"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// BenchmarkDay reads one GPU's day, a reading of ten metrics every ten seconds, on a host of eight GPUs;
// reading etcd is not part of it.
func BenchmarkDay(b *testing.B) {
	f := newFleet()
	for g := range 8 {
		var rows []events.Record
		id := gpu(1, g)
		for tick := range 8640 {
			for m := range 10 {
				r := reading(fmt.Sprintf("metric_%d", m), int64((tick*m+g)%1000))
				r.Identity, r.Source, r.At = &id, r.Metric, start+events.Timestamp(time.Duration(tick)*10*time.Second)
				r.Text = r.Value.Number.Append(nil)
				rows = append(rows, r)
			}
		}
		cut := events.NewCutter(f.facts.Cut, "", "")
		for _, ev := range append(cut.Row("a", 100, rows), cut.Flush()...) {
			f.fold(ev)
		}
	}
	s, h := f.state(b), New(f, nil)
	for name, q := range map[string]Query{
		"one":    {Metrics: []string{"metric_3"}, Limit: MaxLimit},
		"ten":    {Limit: MaxLimit},
		"newest": {Limit: 100},
	} {
		q.GPUs = []events.GPUID{"GPU-01-3"}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := h.Telemetry(b.Context(), s, q)
				if err != nil || len(page.Entries) != min(q.Limit, 8640) {
					b.Fatal(len(page.Entries), err)
				}
			}
		})
	}
}
