package snapshot

import (
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// BenchmarkSaveToWatch measures the way of a change from Save to a reader of Watch: with its offsets, as collectors
// save, and alone, when the reader has to learn from etcd that no offsets are coming.
func BenchmarkSaveToWatch(b *testing.B) {
	for name, with := range map[string]bool{"with offsets": true, "live alone": false} {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b)
			guard := f.claimPartition(0)
			host := hostsOf(0, 1)[0]
			start, err := f.Load(b.Context(), generation)
			if err != nil {
				b.Fatal(err)
			}
			seen := make(chan events.Revision, 1)
			go func() {
				for batch, err := range f.Watch(b.Context(), generation, start.At) {
					if err != nil {
						return
					}
					if len(batch.Hosts) > 0 {
						seen <- batch.At
					}
				}
			}()
			for n := int64(1); b.Loop(); n++ {
				c := f.foldEvents(n, eventstest.Event(host, int(n)))
				c.Chunks, c.Identity = nil, nil
				if !with {
					c.Offsets = nil
				}
				f.saveCommit(0, c, guard)
				select {
				case <-seen:
				case <-time.After(10 * time.Second):
					b.Fatal("nothing came")
				}
			}
		})
	}
}
