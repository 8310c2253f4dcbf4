package eventlog_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// removal is a log of one host's events, which are removed and appended again.
type removal struct {
	*eventlog.Log
	t   *testing.T
	cfg eventlog.Config
}

func newRemoval(t *testing.T) *removal {
	cfg := eventstest.Config(t)
	return &removal{eventstest.OpenLog(t, cfg), t, cfg}
}

// appendEvent appends the i-th event and returns its ref.
func (r *removal) appendEvent(i int) events.Ref {
	r.t.Helper()
	done, err := r.Append(r.t.Context(), []events.Event{eventstest.Event("h", i)})
	if err != nil {
		r.t.Fatal(err)
	}
	return events.Ref{Key: done[0].Key, Revision: done[0].Revision}
}

func (r *removal) removeRef(ref events.Ref, guards ...clientv3.Cmp) (int, error) {
	return r.Remove(r.t.Context(), []events.Ref{ref}, func(context.Context) bool { return true }, guards...)
}

// readRefs returns the refs of the events up to upto, as log reads them.
func (r *removal) readRefs(log *eventlog.Log, upto events.Revision) (all []events.Ref) {
	r.t.Helper()
	for ev, err := range log.Read(r.t.Context(), events.PartitionOf("h", log.Facts().Partitions), events.Revision{}, upto) {
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, events.Ref{Key: ev.Key, Revision: ev.Revision})
	}
	return all
}

// Between the list of a Read and its values an event leaves the log, and its file is uploaded again. Returned at its
// new revision it would move the reader's position past events that the reader has not seen yet.
func TestEventUploadedAgainDuringAReadHidesNoOther(t *testing.T) {
	r := newRemoval(t)
	first, second := r.appendEvent(1), r.appendEvent(2)
	reader := eventstest.OpenLog(t, r.cfg)
	moved := false
	reader.WrapKV(func(kv clientv3.KV) clientv3.KV {
		return &eventstest.KV{KV: kv, Before: func(call string) error {
			if call == "txn" && !moved { // the request for the values
				moved = true
				if n, err := r.removeRef(first); n != 1 || err != nil {
					t.Errorf("removed %d events, %v; want 1", n, err)
				}
				r.appendEvent(1)
			}
			return nil
		}}
	})
	if got, want := r.readRefs(reader, second.Revision), []events.Ref{second}; !slices.Equal(got, want) || !moved {
		t.Errorf("read %v, want %v", got, want)
	}
}

// An event that was uploaded again after it was archived is another event than the archived one: it stays.
func TestEventUploadedAgainIsNotRemovedAsTheOldOne(t *testing.T) {
	r := newRemoval(t)
	old := r.appendEvent(1)
	if n, err := r.removeRef(old); n != 1 || err != nil {
		t.Errorf("removed %d events, %v; want 1", n, err)
	}
	again := r.appendEvent(1)
	if again.Key != old.Key {
		t.Fatalf("the same records are %s and then %s", old.Key, again.Key)
	}
	if n, err := r.removeRef(old); n != 0 || err != nil {
		t.Errorf("removed %d events, %v; want none, since the one listed is gone", n, err)
	}
	if got, want := r.readRefs(r.Log, again.Revision), []events.Ref{again}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

// A collector that was frozen while another took over its partition removes nothing from the log.
func TestLostClaimRemovesNothing(t *testing.T) {
	r := newRemoval(t)
	there := r.appendEvent(1)
	client, owner := eventstest.Etcd(t), r.cfg.Key("owners", "0")
	claimed, err := client.Put(t.Context(), owner, "me")
	if err != nil {
		t.Fatal(err)
	}
	guard := clientv3.Compare(clientv3.CreateRevision(owner), "=", claimed.Header.Revision)
	if _, err := client.Delete(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Put(t.Context(), owner, "another"); err != nil {
		t.Fatal(err)
	}
	if n, err := r.removeRef(there, guard); n != 0 || !errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("removed %d events, %v; want none, %v", n, err, eventlog.ErrFenced)
	}
	if got, want := r.readRefs(r.Log, there.Revision), []events.Ref{there}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}
