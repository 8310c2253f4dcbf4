package eventstest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"telemetry-pipeline/events"
)

// firstReadingAt is the record time of event 0.
var firstReadingAt = time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)

// Event returns event i of a host: two readings of GPU 0, i seconds after a fixed instant. Events of different hosts or i
// differ; calls with equal arguments return equal events.
func Event(host events.HostID, i int) events.Event {
	at := events.TimestampOf(firstReadingAt.Add(time.Duration(i) * time.Second))
	return cutEvent(host,
		newRecord(at, "DCGM_FI_DEV_GPU_UTIL", events.Value{Number: events.Int(int64(i % 101))}),
		newRecord(at, "DCGM_FI_DEV_GPU_TEMP", events.Value{Number: events.Int(int64(30 + i%60))}))
}

// Events returns the events from..from+n-1 of a host.
func Events(host events.HostID, from, n int) []events.Event {
	evs := make([]events.Event, n)
	for i := range evs {
		evs[i] = Event(host, from+i)
	}
	return evs
}

// BigEvent returns event i of a host with a reading whose text is size random characters, which hardly compress.
func BigEvent(host events.HostID, i, size int) events.Event {
	at := events.TimestampOf(firstReadingAt.Add(time.Duration(i) * time.Second))
	noise := rand.New(rand.NewPCG(uint64(i), uint64(size)))
	raw := make([]byte, size)
	for j := range raw {
		raw[j] = 32 + byte(noise.IntN(95))
	}
	return cutEvent(host, newRecord(at, "DCGM_FI_DEV_GPU_UTIL", events.Value{Absent: events.ReadError, Raw: string(raw)}))
}

// HostsOf returns n host names that belong to partition p of count.
func HostsOf(p events.Partition, count, n int) []events.HostID {
	var hosts []events.HostID
	for i := 0; len(hosts) < n; i++ {
		if h := events.HostID(fmt.Sprintf("host-%d", i)); events.PartitionOf(h, count) == p {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

func newRecord(at events.Timestamp, metric string, v events.Value) events.Record {
	text := v.Raw
	if v.Absent == events.Present {
		text = v.Number.String()
	}
	return events.Record{Identity: &events.Identity{Index: "0"}, Metric: metric, Source: metric, At: at, Value: v, Text: []byte(text)}
}

// cutEvent returns the event of an upload that has no other records.
func cutEvent(host events.HostID, records ...events.Record) events.Event {
	c := events.NewCutter(events.CutRules{}, "test-upload", "")
	evs := append(c.Row(host, 0, records), c.Flush()...)
	if len(evs) != 1 {
		panic(fmt.Sprintf("%d records of %s make %d events", len(records), host, len(evs)))
	}
	return evs[0]
}
