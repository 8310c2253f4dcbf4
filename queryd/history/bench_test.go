package history

import (
	"fmt"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// BenchmarkCold queries a week of a host of eight GPUs with ten metrics every 30 seconds, all of it in the archive
// with one entry per day: one GPU's raw day, and its week by hours and by minutes.
func BenchmarkCold(b *testing.B) {
	f, shelf := newFleet(), newFakeArchive(b)
	p := events.PartitionOf("a", f.facts.Partitions)
	number := int64(0)
	for day := range 7 {
		cut := events.NewCutter(f.facts.Cut, "", "")
		var evs []events.Event
		for tick := range 2880 {
			at := start + events.Timestamp(time.Duration(day)*24*time.Hour+time.Duration(tick)*30*time.Second)
			for g := range 8 {
				id := gpuIdentity(1, g)
				var rows []events.Record
				for m := range 10 {
					r := newReading(fmt.Sprintf("metric_%d", m), int64((tick*m+g)%1000))
					r.Identity, r.Source, r.At = &id, r.Metric, at
					r.Text = r.Value.Number.Append(nil)
					rows = append(rows, r)
				}
				evs = append(evs, cut.Row("a", 100, rows)...)
			}
		}
		evs = append(evs, cut.Flush()...)
		for i := range evs {
			number++
			evs[i] = loggedEvent(evs[i], number, f)
			f.foldTo(evs[i], false)
		}
		shelf.addEntry(b, p, evs)
		shelf.mergeEntries(b, p, day, day+1)
	}
	s, h := f.viewState(b), New(f, nil)
	h.ReadArchive(shelf)
	day := start + events.Timestamp(3*24*time.Hour)
	week := Query{Limit: MaxLimit, HasFrom: true, From: start, HasTo: true, To: start + events.Timestamp(7*24*time.Hour-1)}
	for name, c := range map[string]struct {
		change func(q *Query)
		want   int
	}{
		"raw day": {func(q *Query) { q.From, q.To = day, day+events.Timestamp(24*time.Hour-1) }, 2880},
		"raw day of one": {func(q *Query) {
			q.From, q.To, q.Metrics = day, day+events.Timestamp(24*time.Hour-1), []string{"metric_3"}
		}, 2880},
		"week by hours":     {func(q *Query) { q.Step = time.Hour }, 7 * 24},
		"week by hours p95": {func(q *Query) { q.Step, q.Aggregates = time.Hour, []Aggregate{P95} }, 7 * 24},
		"week by minutes":   {func(q *Query) { q.Step = time.Minute }, MaxLimit},
	} {
		q := week
		q.GPUs = []events.GPUID{"GPU-01-3"}
		c.change(&q)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				if q.Step == 0 {
					page, err := h.Telemetry(b.Context(), s, q)
					if n = len(page.Entries); err != nil {
						b.Fatal(err)
					}
				} else {
					page, err := h.Buckets(b.Context(), s, q)
					if n = len(page.Buckets); err != nil {
						b.Fatal(err)
					}
				}
				if n != c.want {
					b.Fatalf("%d items, want %d", n, c.want)
				}
			}
		})
	}
}

// BenchmarkDay reads one GPU's day, a reading of ten metrics every ten seconds, on a host of eight GPUs; reading etcd
// is not part of it.
func BenchmarkDay(b *testing.B) {
	f := newFleet()
	for g := range 8 {
		var rows []events.Record
		id := gpuIdentity(1, g)
		for tick := range 8640 {
			for m := range 10 {
				r := newReading(fmt.Sprintf("metric_%d", m), int64((tick*m+g)%1000))
				r.Identity, r.Source, r.At = &id, r.Metric, start+events.Timestamp(time.Duration(tick)*10*time.Second)
				r.Text = r.Value.Number.Append(nil)
				rows = append(rows, r)
			}
		}
		cut := events.NewCutter(f.facts.Cut, "", "")
		for _, ev := range append(cut.Row("a", 100, rows), cut.Flush()...) {
			f.foldEvent(ev)
		}
	}
	s, h := f.viewState(b), New(f, nil)
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

// BenchmarkAsOf returns past states of 10,000 GPUs on 1,250 hosts with ten metrics every five minutes: after the newest records, in
// the newest window, and a window earlier; and the last one for a single host.
func BenchmarkAsOf(b *testing.B) {
	f := newFleet()
	for host := range 1250 {
		cut := events.NewCutter(f.facts.Cut, "", "")
		name := events.HostID(fmt.Sprintf("host-%04d", host))
		var evs []events.Event
		for minute := 0; minute < 120; minute += 5 {
			evs = append(evs, cut.Row(name, 100, asOfRow(host, minute))...)
		}
		for _, ev := range append(evs, cut.Flush()...) {
			f.foldEvent(ev)
		}
	}
	f.appended = nil
	s, h := f.viewState(b), New(f, nil)
	for _, c := range []struct {
		name  string
		after time.Duration
		only  []events.HostID
	}{
		{"newest", 2 * time.Hour, nil},
		{"same window", 90 * time.Minute, nil},
		{"window before", 30 * time.Minute, nil},
		{"one host", 30 * time.Minute, []events.HostID{"host-0007"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			at := start + events.Timestamp(c.after)
			for b.Loop() {
				at++ // so that it is not in memory
				past, err := h.AsOf(b.Context(), s, at, c.only)
				if err != nil || len(past.GPUs()) != 10_000 && len(past.GPUs()) != 8*len(c.only) {
					b.Fatal(err)
				}
			}
		})
	}
}

// asOfRow returns the readings of a host's eight GPUs in one minute.
func asOfRow(host, minute int) []events.Record {
	var rows []events.Record
	for g := range 8 {
		id := events.Identity{
			UUID: fmt.Sprintf("GPU-5fd4f087-86f3-7a43-b711-%012d", 8*host+g), Index: fmt.Sprint(g), Model: "NVIDIA H100 80GB HBM3",
			Pod: fmt.Sprintf("job-%d", g), Namespace: "training", Labels: []events.Label{{Name: "job", Value: "dcgm"}},
		}
		for m := range 10 {
			r := newReading(fmt.Sprintf("metric_%d", m), int64((minute*m+g)%1000))
			r.Identity, r.Source, r.At = &id, r.Metric, start+events.Timestamp(time.Duration(minute)*time.Minute)
			r.Text = r.Value.Number.Append(nil)
			rows = append(rows, r)
		}
	}
	return rows
}
