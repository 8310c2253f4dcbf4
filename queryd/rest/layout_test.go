package rest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// someReadings returns a list of readings as an entry has them: sorted by metric, some absent, some several times,
// rarely none at all.
func someReadings(r *rand.Rand) []projections.Latest {
	metrics := []string{"DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL", "other \"one\"", "zero"}
	var list []projections.Latest
	if r.IntN(20) == 0 {
		return list
	}
	for _, m := range metrics[r.IntN(2) : 3+r.IntN(3)] {
		for n := 1 + r.IntN(20)/19; n > 0; n-- {
			l := projections.Latest{Metric: m, Source: "s", At: 1e9, Value: events.Value{Number: events.NumberOf(r.Int64N(2000)-1000, int16(r.IntN(7)-3))}}
			if r.IntN(12) == 0 {
				l.Value = events.Value{Absent: events.NotSupported, Raw: "N/A"}
			}
			list = append(list, l)
		}
	}
	return list
}

// TestReadingsAreWrittenTheSameWithALayout writes lists one after another, many of them with the layout of the last,
// and each alone without a layout.
func TestReadingsAreWrittenTheSameWithALayout(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 90))
	fields := allNamedFields()
	var together writer
	laidOut := 0
	for i := range 3000 {
		list := someReadings(r)
		for range 1 + r.IntN(3) {
			alone := writer{JSONWriter: events.JSONWriter{Buf: []byte(`{"timestamp":""`)}}
			alone.writeWithoutLayout(fields, list, i%2 == 0)
			together.Buf = append(together.Buf[:0], `{"timestamp":""`...)
			together.writeReadings(fields, list, i%2 == 0)
			if got, want := string(together.Buf), string(alone.Buf); got != want {
				t.Fatalf("list %d\ngot  %s\nwant %s", i, got, want)
			}
			if together.layout.built {
				laidOut++
			}
			for k := range list {
				list[k].Value.Number = events.Int(int64(r.IntN(100)))
			}
		}
	}
	if laidOut < 500 {
		t.Errorf("only %d lists had a layout", laidOut)
	}
}

// TestAGPUWithOnlyProcessesIsWrittenTheSameAfterOtherEntries asks for one first of all, and again.
func TestAGPUWithOnlyProcessesIsWrittenTheSameAfterOtherEntries(t *testing.T) {
	f := newFleet()
	f.addRows(t, "2025-07-18T20:42:34Z a uuid=GPU-a0 part=pid:7 | process_used_memory_mib=5\n"+
		"2025-07-18T20:42:34Z a uuid=GPU-a1 index=1 | temperature=41\n")
	app := serveFleet(t, f, time.Now)
	first := getAnswer(t, app, "GET", "/api/v1/gpus/GPU-a0").scriptText()
	if !strings.Contains(first, `"pid:7"`) {
		t.Fatalf("its part is missing: %s", first)
	}
	getAnswer(t, app, "GET", "/api/v1/gpus/GPU-a1")
	for range 3 {
		if again := getAnswer(t, app, "GET", "/api/v1/gpus/GPU-a0").scriptText(); again != first {
			t.Fatalf("asked again it is\n%s\nfirst it was\n%s", again, first)
		}
	}
}

// TestWritersOfOthersAreNotTouched fills writers side by side and returns each to the pool after a look at its text.
func TestWritersOfOthersAreNotTouched(t *testing.T) {
	var pool writerPool
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				text := fmt.Sprintf("%d of %d", i, g)
				w := pool.getWriter(i)
				w.StringValue(text)
				if got, want := string(w.Buf), `"`+text+`"`; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				out := pooledBody{writer: w}
				if err := out.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestAHugeAnswerIsNotKeptInMemoryByPolls sends one, and then small ones that could reuse its buffer.
func TestAHugeAnswerIsNotKeptInMemoryByPolls(t *testing.T) {
	var pool writerPool
	for _, size := range []int{maxPooledBytes + 1, 100, 100} {
		w := pool.getWriter(size)
		if size == 100 && cap(w.Buf) > maxPooledBytes {
			t.Fatalf("an answer of %d bytes has room for %d", size, cap(w.Buf))
		}
		out := pooledBody{writer: w}
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	}
}
