package etcd_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/events/eventstest"
)

// A watch leaves no gRPC stream behind, also if it asks for progress after etcd has ended it. Each watch here begins at a
// compacted revision, and handles etcd's first answer while its stream ends.
func TestWatchLeavesNoStream(t *testing.T) {
	server := eventstest.NewServer(t, nil)
	client := server.Client(t)
	if _, err := client.Put(t.Context(), "a", ""); err != nil {
		t.Fatal(err)
	}
	server.Compact(t)
	before := watchStreams()
	var watches sync.WaitGroup
	for range 20 {
		watches.Go(func() {
			w := etcd.Watch{
				NewWatcher: etcd.Watchers(client), Subject: "it", Ranges: []etcd.Range{etcd.Prefix("a")}, After: 1,
				Silence: etcd.Silence{Ask: time.Nanosecond, Again: time.Hour, Lost: time.Hour},
				Check: func(_ context.Context, resp *clientv3.WatchResponse, _ int64) error {
					if resp.Created {
						time.Sleep(time.Second)
					}
					return nil
				},
			}
			err := w.Run(t.Context(), func(etcd.Response) error { return nil })
			if _, compacted := errors.AsType[*etcd.CompactedError](err); !compacted {
				t.Errorf("got %v, want a CompactedError", err)
			}
		})
	}
	watches.Wait()
	left := watchStreams() - before
	for end := time.Now().Add(10 * time.Second); left > 0 && time.Now().Before(end); left = watchStreams() - before {
		time.Sleep(10 * time.Millisecond) // a stream that has ended may still be in its last statement
	}
	if left > 0 {
		t.Errorf("20 watches have left %d streams", left)
	}
}

// watchStreams returns the number of gRPC streams of watches in this process.
func watchStreams() int {
	stacks := make([]byte, 16<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "(*watchGRPCStream).run(")
}
