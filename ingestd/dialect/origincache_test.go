package dialect

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// A file that names its GPUs in turn, again and again, learns each once as long as all have room together.
func TestOriginsThatHaveRoomAreLearnedOnce(t *testing.T) {
	const gpus = 20_000
	o := NewOrigins(Options{}, NewIdentities())
	o.cache.most = gpus * 400 // 384 and a key of at most 16 bytes
	for round := range 3 {
		for i := range gpus {
			key := fmt.Sprint(i)
			found := o.Get([]byte(key)) != nil
			if found != (round > 0) {
				t.Fatalf("round %d: GPU %d is found: %v", round, i, found)
			}
			if !found {
				learnGPU(o, key)
			}
		}
	}
}

// A full cache forgets some of its origins, and the ones in use last.
func TestFullCacheKeepsOriginsInUse(t *testing.T) {
	const often, most = 30, 100
	c := newOriginCache(most)
	lost := 0
	for i := range 10_000 {
		for k := range often {
			if key := fmt.Sprint("often", k); c.get([]byte(key)) == nil {
				lost++
				c.put(key, &Origin{}, 1)
			}
		}
		c.put(fmt.Sprint(i), &Origin{}, 1)
		if len(c.by) < min(i, most-1) {
			t.Fatalf("after %d others %d origins are held, want the cache full", i, len(c.by))
		}
	}
	if lost != often {
		t.Errorf("origins in use were forgotten %d times", lost-often)
	}
}

// The bytes are bounded for origins of any sizes, and count those that are held.
func TestOriginCacheIsBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := newOriginCache(1000)
	for range 20_000 {
		key := fmt.Sprint(rng.IntN(300))
		if c.get([]byte(key)) == nil {
			size := rng.IntN(1200)
			c.put(key, &Origin{}, size)
			if held := c.by[key] != nil; held != (size <= c.most) {
				t.Fatalf("an origin of %d bytes is held: %v", size, held)
			}
		}
		sum := 0
		for _, o := range c.ring {
			sum += o.size
			if c.by[o.key] != o {
				t.Fatalf("origin %s is in the ring and not in the map", o.key)
			}
		}
		if sum != c.size || sum > c.most || len(c.ring) != len(c.by) {
			t.Fatalf("%d bytes of %d origins are held and %d counted, of %d", sum, len(c.by), c.size, c.most)
		}
	}
}

func BenchmarkOriginsOfManyGPUs(b *testing.B) {
	for _, gpus := range []int{1000, 50_000} {
		b.Run(fmt.Sprint("gpus=", gpus), func(b *testing.B) {
			keys := make([][]byte, gpus)
			for i := range keys {
				keys[i] = fmt.Appendf(nil, "%d\x00GPU-5fd4f087-86f3-7a43-b711-%012d\x00NVIDIA H100 80GB HBM3\x00rack1-dgx1-hgpu-%05d", i%8, i, i/8)
			}
			var s Source
			b.ReportAllocs()
			for b.Loop() {
				known, table := NewKnownOrigins(), NewIdentities()
				for range 2 { // files
					o := NewOrigins(Options{Known: known}, table, "d")
					for range 10 { // metrics
						for i, key := range keys {
							if o.Get(key) != nil {
								continue
							}
							s.Reset()
							s.Column(Host, 1, "Hostname", fmt.Appendf(nil, "rack1-dgx1-hgpu-%05d", i/8))
							s.Column(UUID, 1, "uuid", fmt.Appendf(nil, "GPU-5fd4f087-86f3-7a43-b711-%012d", i))
							o.Learn(key, &s)
						}
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(20*gpus), "ns/row")
		})
	}
}
