package rest

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/journal"
)

// appendedLog is the log of a fleet: its events have the revisions 10, 11 and so on, and a damaged event is the last.
type appendedLog struct {
	*fleet
	only func(events.HostID) bool // nil: all hosts, and the damaged event
}

var errEtcdAway = errors.New("etcd is away")

func (l appendedLog) events() []events.Event {
	all := slices.Clone(l.appended)
	for i := range all {
		all[i].Upload = "upload-1"
		all[i].AppendedAt = events.TimestampOf(noon)
		all[i].Key = "/telemetry/" + events.EventKey("c", l.facts.Partitions, &all[i]).String()
		all[i].Revision = l.revision(int64(10 + i))
	}
	if l.only != nil {
		return slices.DeleteFunc(all, func(ev events.Event) bool { return !l.only(ev.Host) })
	}
	damage := &events.DamageError{Value: []byte("\xff\xfe"), Cause: events.ErrOverwritten}
	return append(all, events.Event{Key: "/telemetry/queue/c/001/x", Revision: l.revision(int64(10 + len(all))), Damage: damage})
}

func (l appendedLog) Facts() events.Facts { return l.facts }

func (l appendedLog) Head(context.Context) (events.Revision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return events.Revision{}, errEtcdAway
	}
	return l.revision(100), nil
}

func (l appendedLog) List(_ context.Context, q events.Listing) (refs []events.Ref, more bool, err error) {
	for _, ev := range l.events() {
		if ev.Revision.Number <= q.After.Number || ev.Revision.Number > q.Upto.Number ||
			q.HasPartition && !strings.Contains(ev.Key, "/"+q.Partition.String()+"/") {
			continue
		}
		refs = append(refs, events.Ref{Key: ev.Key, Revision: ev.Revision})
	}
	if q.Newest {
		slices.Reverse(refs)
	}
	return refs, false, nil
}

func (l appendedLog) Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		for _, ref := range refs {
			if ev, found, err := l.Get(ctx, ref.Key); found && !yield(ev, err) {
				return
			}
		}
	}
}

func (l appendedLog) Get(_ context.Context, key string) (events.Event, bool, error) {
	for _, ev := range l.events() {
		if ev.Key == key {
			return ev, true, nil
		}
	}
	return events.Event{}, false, nil
}

func TestEventsWithoutEtcd(t *testing.T) {
	f := newFleet()
	f.fail = errEtcdAway
	api := New(Config{}, f.facts, f.runHub(t), history.New(f, nil), f, nil)
	api.ServeLog(journal.New(appendedLog{fleet: f}))
	got := getAnswer(t, appOf(api), http.MethodGet, "/api/v1/events")
	if got.status != 503 || got.code() != Unavailable || got.header.Get("Retry-After") == "" || strings.Contains(string(got.body), errEtcdAway.Error()) {
		t.Errorf("events without etcd: %s, want 503 %s to come back for", got.scriptText(), Unavailable)
	}
}
