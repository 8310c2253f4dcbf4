package projections

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"telemetry-pipeline/events"
)

// fleetHost returns the records of one host with 8 GPUs: ten metrics with the value ranges and the lag between
// metrics of a DCGM exporter, n times, one second apart.
func fleetHost(seed uint64, from events.Timestamp, n int) (events.HostID, []record) {
	const second = events.Timestamp(1_000_000_000)
	rng := rand.New(rand.NewPCG(seed, 11))
	host := events.HostID(fmt.Sprintf("mtv5-dgx1-hgpu-%03d", seed))
	var records []record
	for gpu := range 8 {
		id := &events.Identity{
			UUID:   fmt.Sprintf("GPU-%08x-%04x-%04x-%04x-%012x", rng.Uint32(), rng.IntN(1<<16), rng.IntN(1<<16), rng.IntN(1<<16), rng.Int64N(1<<48)),
			Index:  fmt.Sprint(gpu),
			Device: fmt.Sprint("nvidia", gpu),
			Model:  "NVIDIA H100 80GB HBM3",
			Driver: "535.129.03",
			Labels: []events.Label{{Name: "instance", Value: string(host) + ":9400"}, {Name: "job", Value: "dgx_dcgm_exporter"}},
		}
		used, power := int64(rng.IntN(81007)), 70+rng.Float64()*600
		for i := range n {
			at := from + events.Timestamp(i)*second
			add := func(metric string, lag int, v events.Number) {
				metric = "DCGM_FI_DEV_" + metric
				records = append(records, record{id, metric, metric, at + events.Timestamp(lag)*second, events.Value{Number: v}, 0})
			}
			if rng.IntN(20) == 0 {
				used = int64(rng.IntN(81007))
			}
			power += rng.NormFloat64() * 5
			add("GPU_UTIL", 0, events.Int(int64(90+rng.IntN(11))))
			add("MEM_COPY_UTIL", 0, events.Int(int64(60+rng.IntN(20))))
			add("POWER_USAGE", 0, milli(int64(power*1000)))
			add("GPU_TEMP", 1, events.Int(int64(55+rng.IntN(4))))
			add("FB_USED", 1, events.Int(used))
			add("FB_FREE", 1, events.Int(81007-used))
			add("DEC_UTIL", 2, events.Int(0))
			add("ENC_UTIL", 3, events.Int(0))
			add("SM_CLOCK", 3, events.Int([]int64{1980, 1980, 1980, 1965}[rng.IntN(4)]))
			add("MEM_CLOCK", 3, events.Int(2619))
		}
	}
	return host, records
}

func milli(m int64) events.Number { return events.NumberOf(m, -3) }

// TestStoredSizes holds the budget that the store is planned with.
func TestStoredSizes(t *testing.T) {
	from, _ := events.ParseTimestamp("2025-07-18T20:00:00Z")
	pack, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	host, one := fleetHost(31, from, 1)
	h := Host{ID: host}
	h.Apply(event(host, one))
	live := AppendLive(nil, &h.Live)
	identity := AppendIdentity(nil, &h.Identity)
	t.Logf("live %d bytes (zstd %d), identity %d (%d)", len(live), len(pack.EncodeAll(live, nil)), len(identity), len(pack.EncodeAll(identity, nil)))
	if len(live) > 800 {
		t.Errorf("live of 8 GPUs with 10 metrics: got %d bytes, want at most 800", len(live))
	}
	for n, most := range map[int]float64{2: 5, 25: 2, 600: 2} {
		_, records := fleetHost(31, from, n)
		for _, s := range seriesOf(event(host, records)) {
			raw := AppendHostWindow(nil, &s)
			packed := pack.EncodeAll(raw, nil)
			per := float64(len(packed)) / float64(s.Records())
			t.Logf("series of %d records: %d bytes, %.2f per record; zstd %d, %.2f", s.Records(), len(raw), float64(len(raw))/float64(s.Records()), len(packed), per)
			if per > most {
				t.Errorf("series of %d records: got %.2f bytes per record, want at most %.1f", s.Records(), per, most)
			}
		}
	}
}
