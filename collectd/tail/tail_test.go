package tail

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/filter"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// screen collects the output.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(strings.TrimSuffix(s.text.String(), "\n"), "\n")
}

// eventKeys returns the keys of the events that were shown as JSON, and how often each.
func (s *screen) eventKeys(t *testing.T) map[string]int {
	t.Helper()
	keys := make(map[string]int)
	for _, line := range s.lines() {
		if line == "" {
			continue
		}
		var e struct{ Key string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		keys[e.Key]++
	}
	return keys
}

// startTail runs a tail until stop is called, which returns its error.
func startTail(t *testing.T, cfg Config, log log) (s *screen, stop func() error) {
	t.Helper()
	s = &screen{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- newTail(cfg, log, s, slog.New(slog.DiscardHandler)).showLog(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() })
	return s, stop
}

func waitUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func appendEvents(t *testing.T, log interface {
	Append(context.Context, []events.Event) ([]eventlog.Appended, error)
}, evs ...events.Event) []eventlog.Appended {
	t.Helper()
	got, err := log.Append(t.Context(), evs)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestShowsEveryEventOnceThroughCompactionAndLossOfEtcd(t *testing.T) {
	server := eventstest.NewServer(t, nil)
	cfg := server.Config(t)
	cfg.Progress = 100 * time.Millisecond
	log := eventstest.OpenLog(t, cfg)
	want := make(map[string]int)
	upload := func(from int) {
		for i := range 10 {
			for _, a := range appendEvents(t, log, eventstest.Event(events.HostID(fmt.Sprintf("host-%d", i)), from), eventstest.Event("host-x", from+i+1000)) {
				want[a.Key]++
			}
		}
	}
	upload(0)
	s, stop := startTail(t, Config{From: "0", Events: true, JSON: true}, log)
	waitUntil(t, "the beginning is shown", func() bool { return len(s.eventKeys(t)) == len(want) })
	for round := range 3 {
		upload(100 * (round + 1))
		server.Compact(t)
		server.Stop()
		server.Start(t)
		upload(100*(round+1) + 50)
		waitUntil(t, "all is shown", func() bool { return len(s.eventKeys(t)) >= len(want) })
	}
	if err := stop(); err != nil {
		t.Errorf("Ctrl-C returns %v", err)
	}
	got := s.eventKeys(t)
	for key := range want {
		if got[key] != 1 {
			t.Errorf("event %s was shown %d times, want once", key, got[key])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d events were shown, want %d", len(got), len(want))
	}
}

func TestFollowsThroughEveryEndOfAWatch(t *testing.T) {
	log := eventstest.NewLog(events.Facts{Partitions: 1})
	var mu sync.Mutex
	shown := make(map[string]int)
	f := &follower{
		log: log, lost: &outage{lg: slog.New(slog.DiscardHandler), lost: make(map[events.Partition]bool)},
		show: func(evs []events.Event) error {
			mu.Lock()
			defer mu.Unlock()
			for i := range evs {
				shown[evs[i].Key]++
			}
			return nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.followPartition(ctx) }()
	want := 0
	for i, end := range []error{events.ErrOverflow, events.ErrCompacted, events.ErrSilent, fmt.Errorf("the connection broke")} {
		want += len(appendEvents(t, log, eventstest.Events("a", 10*i, 5)...))
		waitUntil(t, "a watch was broken", func() bool { return log.Break(end) > 0 })
		log.Compact()
		want += len(appendEvents(t, log, eventstest.Events("a", 10*i+5, 5)...))
	}
	waitUntil(t, "all is shown", func() bool { mu.Lock(); defer mu.Unlock(); return len(shown) == want })
	log.Break(events.ErrForeign)
	if err := <-done; err == nil || !strings.Contains(err.Error(), "start again") {
		t.Errorf("a log that was replaced ends the tail with %v", err)
	}
	cancel()
	for key, n := range shown {
		if n != 1 {
			t.Errorf("%s was shown %d times", key, n)
		}
	}
}

func TestBeginsAtTheConfiguredPosition(t *testing.T) {
	log := eventstest.OpenLog(t, eventstest.Config(t))
	var all []eventlog.Appended
	for i := range 20 {
		all = append(all, appendEvents(t, log, eventstest.Event("a", i), eventstest.Event("b", i))...)
	}
	perEvent := func() int { ev := eventstest.Event("a", 0); return ev.Records() }()
	for name, c := range map[string]struct {
		cfg  Config
		want int
	}{
		"now":              {Config{}, 0},
		"the beginning":    {Config{From: "0"}, 40 * perEvent},
		"a revision":       {Config{From: all[20].Revision.String(), Events: true}, 20},
		"its number":       {Config{From: fmt.Sprint(all[20].Revision.Number), Events: true}, 20},
		"the last lines":   {Config{Last: 7}, 7},
		"the last events":  {Config{Last: 7, Events: true}, 7},
		"more than all":    {Config{Last: 1000, Events: true}, 40},
		"since long ago":   {Config{Since: time.Hour, Events: true}, 40},
		"since just now":   {Config{Since: time.Nanosecond, Events: true}, 0},
		"one host":         {Config{From: "0", Events: true, Filter: filter.Filter{Hosts: filter.Patterns{"b"}}}, 20},
		"no such metric":   {Config{From: "0", Filter: filter.Filter{Metrics: filter.Patterns{"nothing"}}}, 0},
		"last of one host": {Config{Last: 3, Events: true, Filter: filter.Filter{Hosts: filter.Patterns{"?", "nobody"}}}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Once = true
			var out bytes.Buffer
			if err := newTail(c.cfg, log, &out, slog.New(slog.DiscardHandler)).showLog(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(out.String(), "\n"); got != c.want {
				t.Errorf("%d lines, want %d:\n%s", got, c.want, out.String())
			}
		})
	}
	for name, cfg := range map[string]Config{
		"no revision":   {From: "yesterday"},
		"another log":   {From: events.Revision{Epoch: 1, Cluster: 2, Number: 3}.String()},
		"two beginings": {From: "1", Last: 3},
		"the future":    {Since: -time.Second},
		"too many":      {Last: maxLast + 1},
	} {
		err := cfg.validate()
		if err == nil {
			err = newTail(cfg, log, &bytes.Buffer{}, nil).showLog(t.Context())
		}
		if err == nil {
			t.Errorf("%s: %+v is taken", name, cfg)
		}
	}
}

func TestLines(t *testing.T) {
	at := events.TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))
	id := events.Identity{UUID: "GPU-abc", Index: "3"}
	cut := events.NewCutter(events.CutRules{}.WithDefaults(), "upload-1", "")
	cut.Row("node\x1b", 10, []events.Record{
		{Identity: &id, Metric: "DCGM_FI_DEV_POWER_USAGE", Source: "power.draw [W]", At: at, Value: events.Value{Number: events.NumberOf(66781, -3)}, Text: []byte("66.781")},
		{Identity: &events.Identity{UUID: "GPU-abc", Index: "3", Part: "mig:1"}, Metric: "DCGM_FI_DEV_GPU_UTIL", Source: "x<y", At: at,
			Value: events.Value{Absent: events.NotSupported, Raw: "[N/A]"}, Text: []byte("[N/A]")},
	})
	ev := cut.Flush()[0]
	ev.Key, ev.Revision, ev.AppendedAt = "/k", events.Revision{Epoch: 7, Cluster: 9, Number: 5}, at
	damaged := events.Event{Key: "/k2", Revision: ev.Revision, Damage: &events.DamageError{Cause: events.ErrOverwritten}}
	for _, c := range []struct {
		lines lineFormat
		want  string
	}{
		{lineFormat{}, `2025-07-18T20:42:34Z  "node\x1b"  3  DCGM_FI_DEV_POWER_USAGE  66.781
2025-07-18T20:42:34Z  "node\x1b"  3/mig:1  DCGM_FI_DEV_GPU_UTIL  - (not_supported [N/A])
7-9-5  /k2  damaged: the event's key was written again after it was created; its content cannot be trusted
`},
		{lineFormat{events: true}, `7-9-5  2025-07-18T20:42:34Z  "node\x1b"  2 records of 1 GPUs and 2 metrics from 2025-07-18T20:42:34Z to 2025-07-18T20:42:34Z  upload upload-1
7-9-5  /k2  damaged: the event's key was written again after it was created; its content cannot be trusted
`},
		{lineFormat{json: true}, `{"timestamp":"2025-07-18T20:42:34Z","host_id":"node\u001b","id":"GPU-abc","gpu_id":"3","metric":"DCGM_FI_DEV_POWER_USAGE","source":"power.draw [W]","value":66.781,"revision":"7-9-5"}
{"timestamp":"2025-07-18T20:42:34Z","host_id":"node\u001b","id":"GPU-abc","gpu_id":"3","part":"mig:1","metric":"DCGM_FI_DEV_GPU_UTIL","source":"x\u003cy","absent":"not_supported","absent_text":"[N/A]","revision":"7-9-5"}
{"key":"/k2","revision":"7-9-5","damage":"the event's key was written again after it was created; its content cannot be trusted","record_count":0,"gpu_ids":[],"metrics":[]}
`},
		{lineFormat{json: true, events: true}, `{"key":"/k","revision":"7-9-5","host_id":"node\u001b","appended_at":"2025-07-18T20:42:34Z","upload_id":"upload-1","first_timestamp":"2025-07-18T20:42:34Z","last_timestamp":"2025-07-18T20:42:34Z","record_count":2,"gpu_ids":["GPU-abc"],"metrics":["DCGM_FI_DEV_GPU_UTIL","DCGM_FI_DEV_POWER_USAGE"]}
{"key":"/k2","revision":"7-9-5","damage":"the event's key was written again after it was created; its content cannot be trusted","record_count":0,"gpu_ids":[],"metrics":[]}
`},
	} {
		c.lines.filter = &filter.Filter{}
		var out bytes.Buffer
		o := output{w: &out, lines: c.lines}
		if err := o.writeEvents([]events.Event{ev, damaged}, 0); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != c.want {
			t.Errorf("%+v\ngot  %s\nwant %s", c.lines, got, c.want)
		}
	}
}
