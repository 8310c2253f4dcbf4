package archive

import (
	"testing"

	"telemetry-pipeline/events"
)

// days of a host of 8 GPUs, 230,400 records each.
func benchEntry(b *testing.B, s *Store, days, rows int) Entry {
	b.Helper()
	e, err := s.Write(b.Context(), upto(1<<40), fleet(1, 2880*days, rows))
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
			evs := collect(b, fleet(1, 2880*2, cut.rows))
			var e Entry
			for b.Loop() {
				var err error
				if e, err = s.Write(b.Context(), upto(1<<40), func(yield func(events.Event, error) bool) {
					for _, ev := range evs {
						if !yield(ev, nil) {
							return
						}
					}
				}); err != nil {
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
