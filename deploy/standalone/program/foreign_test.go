package program

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A program that follows the older layout of the queue writes its records into etcd itself. They are served like any
// upload's, values that are no records are listed with the reason, and none of its keys is left.
func TestRecordsOfAForeignProducerAreServed(t *testing.T) {
	t.Parallel()
	s := startStack(t, t.TempDir())
	client, cfg := s.etcd(), s.settings.store
	put := func(name, value string) string {
		t.Helper()
		key := cfg.Prefix("queue") + name
		if _, err := client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
		return key
	}
	s.mustUpload("first.csv", simulated(t, 1, 1))
	at := time.Now().UTC().Truncate(time.Second)
	for i, host := range []string{"foreign-1", "foreign_2"} {
		put(fmt.Sprintf("%s_%s_0_%d", at.Format(time.RFC3339), host, i), fmt.Sprintf(`{"timestamp":%q,"hostname":%q,"gpu_id":0,
			"uuid":"GPU-f0000000-0000-0000-0000-00000000000%d","model_name":"Tesla V100","gpu_utilization":75.5,"memory_used_mb":8192,"temperature":null}`,
			at.Format(time.RFC3339), host, i+1))
	}
	bad := put(fmt.Sprintf("%d_foreign-1_0_9", at.Unix()), "what is this")

	var found []string
	for deadline := time.Now().Add(2 * time.Minute); len(found) < 2 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var gpus []struct{ UUID, Hostname string }
		s.get("/api/v1/gpus", &gpus)
		found = nil
		for _, g := range gpus {
			if strings.HasPrefix(g.UUID, "GPU-f0000000") {
				found = append(found, g.Hostname)
			}
		}
	}
	if slices.Sort(found); !slices.Equal(found, []string{"foreign-1", "foreign_2"}) {
		t.Fatalf("GPUs of the hosts %v are served, want those of both", found)
	}
	const want = 8*10 + 2*2 // of the upload, and two of each GPU, whose third is absent
	n := 0
	for deadline := time.Now().Add(2 * time.Minute); n != want && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		n = len(s.restReadings())
	}
	if n != want {
		t.Errorf("history has %d readings, want %d", n, want)
	}

	var entry quarantined
	for deadline := time.Now().Add(2 * time.Minute); entry.Key == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for _, entry = range s.quarantine("?host_id=foreign-1") {
		}
	}
	if entry.Reason != "undecodable" || !strings.Contains(entry.Text, bad) || !strings.Contains(entry.Text, "not JSON") {
		t.Errorf("the quarantine has %+v, want where it was written and why it cannot be used", entry)
	}
	kept, err := client.Get(t.Context(), entry.Key)
	if err != nil || len(kept.Kvs) != 1 || !strings.HasSuffix(string(kept.Kvs[0].Value), "\nwhat is this") {
		t.Errorf("%s holds %v (%v), want what was written", entry.Key, kept, err)
	}
	for _, key := range eventKeys(t, client, cfg) {
		if strings.Count(strings.TrimPrefix(key, cfg.Prefix("queue")), "/") == 0 {
			t.Errorf("%s is left behind", key)
		}
	}
}
