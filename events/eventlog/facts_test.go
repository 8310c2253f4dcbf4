package eventlog_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestFactsOfANewLog(t *testing.T) {
	got := eventstest.OpenLog(t, eventstest.Config(t)).Facts()
	if got.Epoch == 0 || got.Cluster == 0 {
		t.Errorf("got epoch %d, cluster %d", got.Epoch, got.Cluster)
	}
	want := events.Facts{Epoch: got.Epoch, Cluster: got.Cluster, Partitions: 64, PartitionHash: "xxh3", Cut: events.CutRules{}.WithDefaults()}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestFactsAreCreatedOnce opens a log from many sides at once.
func TestFactsAreCreatedOnce(t *testing.T) {
	cfg := eventstest.Config(t)
	var mu sync.Mutex
	seen := make(map[events.Facts]int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			l, err := eventlog.Open(t.Context(), cfg, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			mu.Lock()
			defer mu.Unlock()
			seen[l.Facts()]++
		})
	}
	wg.Wait()
	if len(seen) != 1 {
		t.Errorf("got %d different facts, want one: %+v", len(seen), seen)
	}
}

func TestFactsDisagree(t *testing.T) {
	cfg := eventstest.Config(t)
	cfg.Partitions, cfg.Cut.EventRecords = 16, 500
	want := eventstest.OpenLog(t, cfg).Facts()

	unset := cfg
	unset.Partitions, unset.Cut = 0, events.CutRules{}
	if got := eventstest.OpenLog(t, unset).Facts(); got != want {
		t.Errorf("without settings of its own: got %+v, want %+v", got, want)
	}
	for name, change := range map[string]func(*eventlog.Config){
		"partitions":      func(c *eventlog.Config) { c.Partitions = 17 },
		"rows per event":  func(c *eventlog.Config) { c.Cut.EventRecords = 501 },
		"bytes per event": func(c *eventlog.Config) { c.Cut.EventBytes = 17 },
		"open records":    func(c *eventlog.Config) { c.Cut.OpenRecords = 17 },
		"open identities": func(c *eventlog.Config) { c.Cut.OpenIdentities = 17 },
	} {
		other := cfg
		change(&other)
		l, err := eventlog.Open(t.Context(), other, nil)
		if err == nil {
			l.Close()
			t.Errorf("%s: opened with other settings", name)
			continue
		}
		refused, ok := errors.AsType[*eventlog.FactsError](err)
		if !ok || refused.Fact != name {
			t.Errorf("%s: got error %v", name, err)
			continue
		}
		for _, part := range []string{refused.Log, refused.Setting, refused.Key, "start it with"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q does not say %q", name, err, part)
			}
		}
	}
}

func TestFactsThatCannotBeRead(t *testing.T) {
	for name, stored := range map[string]string{
		"another hash":  `{"epoch":"1","partitions":4,"partition_hash":"md5","cut":{"event_records":1,"event_bytes":1,"open_records":1}}`,
		"no JSON":       `epoch: 1`,
		"no epoch":      `{"partitions":4,"partition_hash":"xxh3","cut":{"event_records":1,"event_bytes":1,"open_records":1}}`,
		"no partitions": `{"epoch":"1","partition_hash":"xxh3","cut":{"event_records":1,"event_bytes":1,"open_records":1}}`,
		"no rules":      `{"epoch":"1","partitions":4,"partition_hash":"xxh3"}`,
	} {
		cfg := eventstest.Config(t)
		if _, err := eventstest.Etcd(t).Put(t.Context(), cfg.Key("config"), stored); err != nil {
			t.Fatal(err)
		}
		if l, err := eventlog.Open(t.Context(), cfg, nil); err == nil {
			l.Close()
			t.Errorf("%s: opened as %+v", name, l.Facts())
		} else if !strings.Contains(err.Error(), cfg.Key("config")) {
			t.Errorf("%s: error %q does not name the key", name, err)
		}
	}
}

// TestEpochChanges changes the epoch as the restore of a backup does: from then on positions belong to another log.
func TestEpochChanges(t *testing.T) {
	cfg := eventstest.Config(t)
	l := eventstest.OpenLog(t, cfg)
	client := eventstest.Etcd(t)
	if _, err := client.Delete(t.Context(), cfg.Key("config")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Head(t.Context()); err == nil {
		t.Error("Head without facts: no error")
	}
	restored := eventstest.OpenLog(t, cfg)
	if restored.Facts().Epoch == l.Facts().Epoch {
		t.Fatal("a new log has the epoch of the old one")
	}
	_, err := l.Head(t.Context())
	if !errors.Is(err, events.ErrForeign) {
		t.Errorf("Head of a log whose epoch changed: got %v, want %v", err, events.ErrForeign)
	}
	for _, err := range l.Watch(t.Context(), 0, events.Revision{}) {
		if !errors.Is(err, events.ErrForeign) {
			t.Errorf("Watch of a log whose epoch changed: got %v, want %v", err, events.ErrForeign)
		}
	}
}

func TestOpenWithoutEtcd(t *testing.T) {
	cfg := eventlog.Config{Endpoints: "unix://" + filepath.Join(t.TempDir(), "nobody"), DialTimeout: 100 * time.Millisecond}
	l, err := eventlog.Open(t.Context(), cfg, nil)
	if err == nil {
		l.Close()
		t.Fatal("opened")
	}
	for _, part := range []string{cfg.Endpoints, "ETCD_ENDPOINTS"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := eventlog.Open(ended, cfg, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: got %v, want %v", err, context.Canceled)
	}
}
