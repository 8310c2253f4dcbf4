package projections

import (
	"testing"

	"telemetry-pipeline/events"
)

// benchEvents makes columnar events of one host: each a run of so many seconds of 80 series.
func benchEvents(b *testing.B, count, seconds int) []*events.Event {
	b.Helper()
	from, err := events.ParseTimestamp("2025-07-18T20:00:00Z")
	if err != nil {
		b.Fatal(err)
	}
	evs := make([]*events.Event, count)
	for i := range evs {
		host, records := fleetHost(31, from+events.Timestamp(i*seconds)*1_000_000_000, seconds)
		evs[i] = fastEvent(host, records)
	}
	return evs
}

// fastEvent is event for many records of few series.
func fastEvent(host events.HostID, records []record) *events.Event {
	type key struct {
		identity *events.Identity
		metric   string
	}
	heads := make(map[key]bool)
	var some []record
	for _, r := range records {
		if k := (key{r.identity, r.metric}); !heads[k] {
			heads[k] = true
			some = append(some, r)
		}
	}
	ev := event(host, some)
	columns := make(map[key]*events.Column)
	for i := range ev.Columns {
		c := &ev.Columns[i]
		for _, r := range some {
			if r.metric == c.Metric && ev.Identities[c.Identity].Compare(r.identity) == 0 {
				columns[key{r.identity, r.metric}] = c
				c.Samples = events.Samples{}
			}
		}
	}
	for _, r := range records {
		columns[key{r.identity, r.metric}].Add(r.at, r.value)
	}
	for i := range ev.Columns {
		ev.Columns[i].Canonical()
	}
	return ev
}

func perSecond(b *testing.B, records int) {
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkApply folds events of several lengths: one scrape, a minute, and an event of an upload with long columns.
func BenchmarkApply(b *testing.B) {
	for _, c := range []struct {
		name           string
		count, seconds int
	}{{"scrape", 600, 1}, {"25s", 100, 25}, {"600s", 12, 600}} {
		b.Run(c.name, func(b *testing.B) {
			evs := benchEvents(b, c.count, c.seconds)
			b.ReportAllocs()
			for b.Loop() {
				var h Host
				for _, ev := range evs {
					h.Apply(ev)
				}
			}
			perSecond(b, c.count*c.seconds*80)
		})
	}
}

// BenchmarkMerge unites the chunks of an hour, as they follow each other.
func BenchmarkMerge(b *testing.B) {
	var chunks []HostWindow
	n := 0
	for _, ev := range benchEvents(b, 120, 25) {
		for _, s := range seriesOf(ev) {
			chunks = append(chunks, s)
			n += s.Records()
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		Merge(chunks...)
	}
	perSecond(b, n)
}

func benchSeries(b *testing.B) (events.HostID, HostWindow) {
	b.Helper()
	ev := benchEvents(b, 1, 600)[0]
	for _, s := range seriesOf(ev) {
		return ev.Host, s
	}
	return "", HostWindow{}
}

func BenchmarkSeriesCode(b *testing.B) {
	_, s := benchSeries(b)
	stored := AppendHostWindow(nil, &s)
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			stored = AppendHostWindow(stored[:0], &s)
		}
		perSecond(b, s.Records())
	})
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			if _, err := ParseHostWindow(stored); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, s.Records())
	})
}

func BenchmarkLiveCode(b *testing.B) {
	var h Host
	h.Apply(benchEvents(b, 1, 1)[0])
	stored := AppendLive(nil, &h.Live)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			stored = AppendLive(stored[:0], &h.Live)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseLive(stored); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkEntries joins a window whole, and only the end that a page of 100 needs.
func BenchmarkEntries(b *testing.B) {
	host, s := benchSeries(b)
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			Entries(host, &s, EntryFilter{})
		}
		perSecond(b, s.Records())
	})
	b.Run("newest100", func(b *testing.B) {
		for b.Loop() {
			Entries(host, &s, EntryFilter{Newest: true, Limit: 100})
		}
	})
	b.Run("oneGPU", func(b *testing.B) {
		f := EntryFilter{GPUs: []events.GPUID{s.Columns[0].Entity.GPU}}
		for b.Loop() {
			Entries(host, &s, f)
		}
	})
}

func BenchmarkMergeGPU(b *testing.B) {
	var h Host
	h.Apply(benchEvents(b, 1, 1)[0])
	b.ReportAllocs()
	for b.Loop() {
		for id, f := range h.Fragments(h.Identity.Names(h.ID)) {
			MergeGPU(id, []Fragment{f})
		}
	}
}
