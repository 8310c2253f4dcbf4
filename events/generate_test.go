package events

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// diff returns the difference of want and got, or "" if they are equal. It calls cmp.Diff, which is slow, only for
// unequal values.
func diff(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	if text := cmp.Diff(want, got); text != "" {
		return text
	}
	return fmt.Sprintf("want %#v\ngot  %#v", want, got)
}

// random returns a generator with the same numbers in every run of a test.
func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0xE7E47)) }

// testStart is the start of the test hosts' telemetry.
var testStart = TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))

// dcgmMetrics has the size of the common counters file. Some of its values stay constant, some jump.
var dcgmMetrics = []string{
	"DCGM_FI_DEV_DEC_UTIL", "DCGM_FI_DEV_ENC_UTIL", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_GPU_TEMP",
	"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_CLOCK", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_SM_CLOCK",
}

// dcgmReading returns a plausible reading of a busy GPU.
func dcgmReading(r *rand.Rand, metric string) string {
	switch metric {
	case "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_USED":
		return strconv.Itoa(40000 + 2*r.IntN(20))
	case "DCGM_FI_DEV_GPU_TEMP":
		return strconv.Itoa(60 + r.IntN(8))
	case "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL":
		return strconv.Itoa(r.IntN(101))
	case "DCGM_FI_DEV_MEM_CLOCK":
		return "2619"
	case "DCGM_FI_DEV_POWER_USAGE":
		return fmt.Sprintf("%d.%03d", 300+r.IntN(300), r.IntN(1000))
	case "DCGM_FI_DEV_SM_CLOCK":
		return strconv.Itoa(1980 - 15*r.IntN(20))
	}
	return "0"
}

func dcgmIdentity(r *rand.Rand, host HostID, gpu int) *Identity {
	return &Identity{
		UUID:   fmt.Sprintf("GPU-%08x-%04x-%04x-%04x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<16), r.IntN(1<<16), r.Int64N(1<<48)),
		Index:  strconv.Itoa(gpu),
		Device: "nvidia" + strconv.Itoa(gpu),
		Model:  "NVIDIA H100 80GB HBM3",
		Driver: "535.129.03",
		Labels: []Label{{"instance", string(host) + ":9400"}, {"job", "dgx_dcgm_exporter"}},
	}
}

// testRow is one row of a source with its records.
type testRow struct {
	host    HostID
	size    int
	records []Record
}

// dcgmRows returns the telemetry of hosts with 8 GPUs, scraped every 30 s, one row per reading.
func dcgmRows(t testing.TB, hosts, scrapes int) []testRow {
	r := random(1)
	identities := make(map[HostID][8]*Identity)
	var names []HostID
	for h := range hosts {
		host := HostID(fmt.Sprintf("dgx-%04d", h))
		var ids [8]*Identity
		for gpu := range ids {
			ids[gpu] = dcgmIdentity(r, host, gpu)
		}
		names, identities[host] = append(names, host), ids
	}
	var rows []testRow
	for scrape := range scrapes {
		at := testStart + Timestamp(scrape)*Timestamp(30*time.Second)
		for m, metric := range dcgmMetrics {
			for _, host := range names {
				for _, id := range identities[host] {
					text := dcgmReading(r, metric)
					rows = append(rows, dcgmRow(t, host, id, metric, at+Timestamp(m%3)*Timestamp(time.Second), text))
				}
			}
		}
	}
	return rows
}

func dcgmRow(t testing.TB, host HostID, id *Identity, metric string, at Timestamp, text string) testRow {
	n, err := ParseNumber(text)
	if err != nil {
		t.Fatal(err)
	}
	record := Record{Identity: id, Metric: metric, Source: metric, At: at, Value: Value{Number: n}, Text: []byte(text)}
	return testRow{host: host, size: 400, records: []Record{record}}
}

// cutRows returns all events of rows.
func cutRows(rules CutRules, rows []testRow) []Event {
	c := NewCutter(rules, "upload-1", "UTC")
	var out []Event
	for _, row := range rows {
		out = append(out, c.Row(row.host, row.size, row.records)...)
	}
	return append(out, c.Flush()...)
}

// someNumber returns a number of any kind: often small, sometimes with an extreme exponent.
func someNumber(r *rand.Rand) Number {
	switch r.IntN(8) {
	case 0:
		return Number{}
	case 1:
		return Int(int64(r.Uint64()))
	case 2:
		return NumberOf(r.Int64N(2000)-1000, int16(r.IntN(80)-40))
	case 3:
		return Int(int64(r.IntN(20)) * 100)
	}
	return NumberOf(r.Int64N(200000)-100000, int16(-r.IntN(4)))
}

func someValue(r *rand.Rand) Value {
	if r.IntN(8) == 0 {
		raws := []string{"", "N/A", "[N/A]", "ERR!"}
		return Value{Absent: Reason(1 + r.IntN(len(reasons)-1)), Raw: raws[r.IntN(len(raws))]}
	}
	return Value{Number: someNumber(r)}
}

// someReading is a reading at one of few times, so that repeats and ties occur.
type someReading struct {
	at Timestamp
	v  Value
}

func someReadings(r *rand.Rand, count int) []someReading {
	out := make([]someReading, count)
	small := r.IntN(2) == 0 // all with one exponent, like most series
	for i := range out {
		v := someValue(r)
		if small && v.Absent == Present {
			v.Number = Int(int64(r.IntN(5)))
		}
		out[i] = someReading{at: Timestamp(r.IntN(30)) * 1e9, v: v}
	}
	return out
}

func samplesOf(readings []someReading) (s Samples) {
	for _, r := range readings {
		s.Add(r.at, r.v)
	}
	return s
}

func canonicalOf(readings []someReading) Samples {
	s := samplesOf(readings)
	s.Canonical()
	return s
}

// someEvent returns an event that uses all features of events.
func someEvent(r *rand.Rand) Event {
	words := []string{"", "a", "GPU-5", "0", "1", "10", "x_y/z%", "NVIDIA H100 80GB HBM3", "früh", "[N/A]"}
	word := func() string { return words[r.IntN(len(words))] }
	var ids []*Identity
	for range 1 + r.IntN(4) {
		id := &Identity{UUID: word(), Index: word(), Device: word(), Pod: word(), Part: word()}
		if r.IntN(2) == 0 {
			id.Labels = []Label{{"instance", word()}, {"job", word()}}
		}
		ids = append(ids, id)
	}
	c := NewCutter(CutRules{}, UploadID(word()), word())
	for range 1 + r.IntN(60) {
		v := someValue(r)
		metric := "m" + word()
		source := metric
		if r.IntN(3) == 0 {
			source = word()
		}
		c.Row("host-"+HostID(word()[:0]+"1"), 10, []Record{{
			Identity: ids[r.IntN(len(ids))], Metric: metric, Source: source,
			At: testStart + Timestamp(r.IntN(20))*1e9 + Timestamp(r.IntN(2)*r.IntN(1e9)), Value: v, Text: []byte(v.Raw),
		}})
	}
	ev := c.Flush()[0]
	ev.AppendedAt = Timestamp(r.Int64())
	return ev
}
