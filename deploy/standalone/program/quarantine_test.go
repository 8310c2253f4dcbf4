package program

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
)

// quarantined is an entry as the API lists it.
type quarantined struct {
	Partition                                 int
	Key, Revision, Hostname, Reason, Text, At string
	Attempts                                  int
	RetryAsked                                bool `json:"retry_asked"`
}

// quarantine returns the events that could not be folded, by key.
func (s *stack) quarantine(filter string) map[string]quarantined {
	s.t.Helper()
	var list []quarantined
	s.get("/api/v1/quarantine"+filter, &list)
	all := map[string]quarantined{}
	for _, q := range list {
		all[q.Key] = q
	}
	return all
}

// quarantineBecomes waits until the quarantine holds these entries, as reason and attempts by key, and that status counts it.
func (s *stack) quarantineBecomes(want map[string]string) {
	s.t.Helper()
	var got map[string]string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		got = map[string]string{}
		for key, q := range s.quarantine("") {
			if got[key] = fmt.Sprintf("%s %d", q.Reason, q.Attempts); q.RetryAsked {
				got[key] += " asked"
			}
		}
		if maps.Equal(got, want) {
			var status struct{ Quarantined *int }
			s.get("/api/v1/status", &status)
			if status.Quarantined == nil || *status.Quarantined != len(want) {
				s.t.Errorf("status counts %v events, want %d", status.Quarantined, len(want))
			}
			return
		}
	}
	s.t.Fatalf("the quarantine holds %v, want %v", got, want)
}

func (s *stack) retry(parameters string, asked int) {
	s.t.Helper()
	resp, err := http.Post(s.queries+"/api/v1/quarantine/retry"+parameters, "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusAccepted || !strings.Contains(string(text), fmt.Sprintf(`"asked":%d}`, asked)) {
		s.t.Errorf("retry%s: %d %s (%v), want 202 for %d", parameters, resp.StatusCode, text, err, asked)
	}
}

func (s *stack) etcd() *clientv3.Client {
	s.t.Helper()
	client, err := s.settings.store.Dial(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { client.Close() })
	return client
}

// eventKeys returns the keys of the log.
func eventKeys(t *testing.T, client *clientv3.Client, cfg eventlog.Config) []string {
	t.Helper()
	resp, err := client.Get(t.Context(), cfg.Prefix("queue"), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, kv := range resp.Kvs {
		keys = append(keys, string(kv.Key))
	}
	return keys
}

// A person writes into the log with etcdctl. The spoilt events are listed, the others are folded, and nothing is lost that
// the sender still has.
func TestGarbageInTheLogIsListedAndRepairedByAnotherUpload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startStack(t, dir)
	client, cfg := s.etcd(), s.settings.store
	put := func(key, value string) {
		t.Helper()
		if _, err := client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	content := simulated(t, 2, 2)
	s.mustUpload("first.csv", content)
	keys := eventKeys(t, client, cfg)
	if len(keys) < 2 {
		t.Fatalf("the upload made %d events, want some", len(keys))
	}
	overwritten, garbage := keys[0], keys[1]+"0"
	put(overwritten, "oops")
	put(garbage, "\x07what is this")
	want := map[string]string{overwritten: "overwritten 1", garbage: "undecodable 1"}
	s.quarantineBecomes(want)

	// An upload that has an event in the quarantine says so, although all of it is stored.
	status, again := s.upload("first.csv", content, "?wait=true")
	if status != http.StatusOK || !again.Success || again.Status != "quarantined" || again.QuarantinedEvents != 1 || len(again.Quarantined) != 1 ||
		again.Quarantined[0].Key != overwritten || again.Quarantined[0].Reason != "overwritten" || len(again.Warnings) == 0 {
		t.Errorf("the upload whose event is in the quarantine: %d %+v", status, again)
	}

	more := simulated(t, 3, 4) // the partitions go on
	s.mustUpload("second.csv", more)
	readings, models := s.restReadings(), s.models()
	if n := 3 * 8 * 10 * 4; len(readings) != n {
		t.Errorf("%d readings, want all %d", len(readings), n)
	}

	q := s.quarantine("?host_id=" + "demo-dgx-01,demo-dgx-02,demo-dgx-03")[overwritten]
	if q.Hostname == "" || q.Revision == "" || q.Text == "" || q.At == "" {
		t.Errorf("entry %+v lacks what an operator needs", q)
	}
	if other := s.quarantine(fmt.Sprintf("?partition=%d", q.Partition)); other[overwritten] != q {
		t.Errorf("partition %d lists %v", q.Partition, other)
	}
	s.retry("?key="+url.QueryEscape(garbage), 1)
	s.quarantineBecomes(map[string]string{overwritten: "overwritten 1", garbage: "undecodable 2"})
	s.retry("", 2)
	s.quarantineBecomes(map[string]string{overwritten: "overwritten 2", garbage: "undecodable 3"})

	// A restart finds the same, and neither tries nor lists anything twice.
	s.stop()
	s = startStack(t, dir)
	client = s.etcd()
	s.quarantineBecomes(map[string]string{overwritten: "overwritten 2", garbage: "undecodable 3"})

	// The repair of the runbook: remove the spoilt event, send the file again.
	if _, err := client.Delete(t.Context(), overwritten); err != nil {
		t.Fatal(err)
	}
	s.retry("", 2)
	s.quarantineBecomes(map[string]string{overwritten: "missing 3", garbage: "undecodable 4"})
	if r := s.mustUpload("first.csv", content); r.Accepted == 0 {
		t.Errorf("the file sent again: %+v, want the removed event created anew", r)
	}
	s.quarantineBecomes(map[string]string{garbage: "undecodable 4"})
	if got := s.restReadings(); !maps.Equal(got, readings) {
		t.Errorf("%d readings after the repair, want the same %d", len(got), len(readings))
	}
	if got := s.models(); !maps.Equal(got, models) {
		t.Errorf("models differ after the repair: %s", difference(models, got))
	}
}

// An entry that an earlier version left, of an event that this one can fold, ends by itself; one that was tried
// by this version ends on request.
func TestWhatAnEarlierVersionCouldNotFoldIsRetried(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startStack(t, dir)
	s.mustUpload("first.csv", simulated(t, 2, 2))
	client, cfg := s.etcd(), s.settings.store
	keys := eventKeys(t, client, cfg)
	left := func(key string, version int) {
		t.Helper()
		resp, err := client.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		active, err := client.Get(t.Context(), cfg.Key("active"))
		if err != nil {
			t.Fatal(err)
		}
		log := openLog(t, cfg)
		at := events.Revision{Epoch: log.Facts().Epoch, Cluster: log.Facts().Cluster, Number: resp.Kvs[0].ModRevision}
		entry, err := json.Marshal(map[string]any{
			"key": key, "revision": at.String(), "reason": "unknown_encoding", "attempts": 1, "tried_version": version,
		})
		if err != nil {
			t.Fatal(err)
		}
		partition := strings.Split(strings.TrimPrefix(key, cfg.Prefix("queue")), "/")[0]
		name := cfg.Key("quarantine", string(active.Kvs[0].Value), partition, snapshot.EntryIDOf(key, at).String())
		if _, err := client.Put(t.Context(), name, string(entry)); err != nil {
			t.Fatal(err)
		}
	}
	left(keys[0], snapshot.ModelVersion-1)
	left(keys[1], snapshot.ModelVersion)
	s.quarantineBecomes(map[string]string{keys[0]: "unknown_encoding 1", keys[1]: "unknown_encoding 1"})
	before := s.models()
	s.stop()
	s = startStack(t, dir)
	s.quarantineBecomes(map[string]string{keys[1]: "unknown_encoding 1"})
	asked := time.Now()
	s.retry("", 1)
	s.quarantineBecomes(map[string]string{})
	if took := time.Since(asked); took > 25*time.Second {
		t.Errorf("the retry took %s; it should not wait for a lease or a restart", took)
	}
	if got := s.models(); !maps.Equal(got, before) {
		t.Errorf("models differ: %s", difference(before, got))
	}
}

func openLog(t *testing.T, cfg eventlog.Config) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}
