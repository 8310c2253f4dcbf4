package archive

import (
	"strings"
	"testing"

	"telemetry-pipeline/events"
)

// benchEntry is days of a host of 8 GPUs, 230,400 records each.
func benchEntry(b *testing.B, s *Store, days, rows int) Entry {
	b.Helper()
	e, err := s.Write(b.Context(), rangeUpto(1<<40), fleetEvents(1, 2880*days, rows))
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func perRecord(b *testing.B, e Entry) {
	b.ReportMetric(float64(e.Records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(e.Bytes())/float64(e.Records), "bytes/record")
}

var cuts = []struct {
	name string
	rows int
}{{"uploads", 2000}, {"streams", 8}}

func BenchmarkWrite(b *testing.B) {
	for _, cut := range cuts {
		b.Run(cut.name, func(b *testing.B) {
			s := openDir(b)
			evs := collectEvents(b, fleetEvents(1, 2880*2, cut.rows))
			var e Entry
			for b.Loop() {
				var err error
				if e, err = s.Write(b.Context(), rangeUpto(1<<40), eventSeq(evs)); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b, e)
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, cut := range cuts {
		b.Run(cut.name, func(b *testing.B) {
			s := openDir(b)
			e := benchEntry(b, s, 3, cut.rows)
			for b.Loop() {
				for _, err := range s.Read(b.Context(), e, events.Revision{}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			perRecord(b, e)
		})
	}
}

// writeParts writes a day as up to 24 entries.
func writeParts(b *testing.B, s *Store, rows int) (entries []Entry) {
	b.Helper()
	all := collectEvents(b, fleetEvents(1, 2880, rows))
	r, parts := rangeUpto(0), min(24, len(all))
	for i := range parts {
		part := all[len(all)*i/parts : len(all)*(i+1)/parts]
		r.After.Number, r.Upto.Number = r.Upto.Number, part[len(part)-1].Revision.Number
		r.After.Epoch, r.After.Cluster = r.Upto.Epoch, r.Upto.Cluster
		e, err := s.Write(b.Context(), r, eventSeq(part))
		if err != nil {
			b.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

func BenchmarkMergeHoursIntoADay(b *testing.B) {
	for _, cut := range cuts {
		b.Run(cut.name, func(b *testing.B) {
			s := openDir(b)
			entries := writeParts(b, s, cut.rows)
			var e Entry
			for b.Loop() {
				var err error
				if e, err = s.Merge(b.Context(), entries); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b, e)
			for _, o := range e.Objects {
				b.ReportMetric(float64(o.Bytes)/float64(e.Records), string(o.Kind)+"-bytes/record")
			}
		})
	}
}

func BenchmarkScanOneDayOfOneGPU(b *testing.B) {
	s := openDir(b)
	e := benchEntry(b, s, 7, 2000)
	var gpu events.GPUID
	for one, err := range s.Scan(b.Context(), e, Filter{}) {
		if gpu = one.Identity.Entity(one.Host).GPU; err != nil {
			b.Fatal(err)
		}
		break
	}
	day := Filter{GPUs: []events.GPUID{gpu}, From: fleetStart + 3*86400e9, To: fleetStart + 4*86400e9}
	for name, metrics := range map[string][]string{"10 metrics": nil, "1 metric": fleetMetrics[:1], "10 metrics, warm": nil, "1 metric, warm": fleetMetrics[:1]} {
		b.Run(name, func(b *testing.B) {
			day.Metrics, s.cache = metrics, nil
			if strings.HasSuffix(name, "warm") {
				s.KeepUpTo(64 << 20)
			}
			n := 0
			for b.Loop() {
				n = 0
				for one, err := range s.Scan(b.Context(), e, day) {
					if err != nil {
						b.Fatal(err)
					}
					n += one.Len()
				}
			}
			if want := 2880 * max(1, 10*(1-len(metrics))); n != want {
				b.Fatalf("got %d readings, want %d", n, want)
			}
		})
	}
}

func BenchmarkRollupOneWeekOfAHost(b *testing.B) {
	s := openDir(b)
	e := benchEntry(b, s, 7, 2000)
	e, err := s.Merge(b.Context(), []Entry{e})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := 0
		for one, err := range s.Rollup(b.Context(), e, Hours, Filter{}) {
			if err != nil {
				b.Fatal(err)
			}
			n += len(one.Buckets)
		}
		if want := 80 * 7 * 24; n != want {
			b.Fatalf("got %d hours, want %d", n, want)
		}
	}
}

// BenchmarkRollupOneDayOfAMetric reads the hours of one metric of a host from memory and from the store.
func BenchmarkRollupOneDayOfAMetric(b *testing.B) {
	s := openDir(b)
	e, err := s.Merge(b.Context(), []Entry{benchEntry(b, s, 1, 2000)})
	if err != nil {
		b.Fatal(err)
	}
	for name, kept := range map[string]int64{"cold": 0, "warm": 64 << 20} {
		b.Run(name, func(b *testing.B) {
			if s.cache = nil; kept > 0 {
				s.KeepUpTo(kept)
			}
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for one, err := range s.Rollup(b.Context(), e, Hours, Filter{Metrics: fleetMetrics[:1]}) {
					if err != nil {
						b.Fatal(err)
					}
					n += len(one.Buckets)
				}
				if want := 8 * 24; n != want {
					b.Fatalf("got %d hours, want %d", n, want)
				}
			}
		})
	}
}
