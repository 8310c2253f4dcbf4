package join

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

const (
	pod  = events.HostID("nvidia-dcgm-exporter-x7k2p")
	node = events.HostID("hpod-n1")
)

func TestHostsOfTheTestsAreOfSeveralPartitions(t *testing.T) {
	if events.PartitionOf(pod, partitions) == events.PartitionOf(node, partitions) {
		t.Fatalf("%s and %s are of one partition", pod, node)
	}
}

func TestNodeHasTheRecordsOfItsPod(t *testing.T) {
	r := newRig(t)
	r.put(t, eventstest.Events(pod, 0, 20)...)
	r.put(t, eventstest.Events(node, 500, 2)...)
	r.archiveAll(t)
	r.put(t, eventstest.Events(pod, 20, 20)...)
	r.put(t, eventstest.Events("another", 0, 3)...)
	head, err := r.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began, own := events.TimestampOf(time.Now()), r.records(t, node)

	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Marked: 1, Events: 40, Records: 80}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want := append(own, r.records(t, pod)...)
	slices.Sort(want)
	if diff := cmp.Diff(want, r.records(t, node)); diff != "" {
		t.Errorf("records of the node (-want +got):\n%s", diff)
	}
	joins := r.joins(t, pod)
	if len(joins) != 1 || joins[0].Node != node || joins[0].At < began || joins[0].Upto != head {
		t.Errorf("the pod's joins are %+v, want one to %s at %s or later, up to %s", joins, node, began, head)
	}

	before := r.loggedEvents(t)
	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Existing: 40}); got != want {
		t.Errorf("joined again: got %+v, want %+v", got, want)
	}
	if got := r.loggedEvents(t); got != before {
		t.Errorf("joined again: %d events are in the log, want the %d of before", got, before)
	}
	r.archiveAll(t)
	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Existing: 40}); got != want {
		t.Errorf("joined again from the archive: got %+v, want %+v", got, want)
	}
	if got := r.loggedEvents(t); got != 0 {
		t.Errorf("joined again from the archive: %d events are in the log", got)
	}
}

var errKilled = errors.New("killed")

// An interrupted join that is run again ends as one that was not interrupted, also if its first events have left etcd
// meanwhile.
func TestInterruptedJoinEndsTheSame(t *testing.T) {
	const other = "nvidia-dcgm-exporter-abcde"
	fill := func(r *rig) {
		for i := range 12 { // each at a position of its own
			r.put(t, eventstest.Event(pod, i))
		}
		r.put(t, eventstest.Events(pod, 12, 11)...)
		r.put(t, eventstest.Events(other, 100, 9)...)
	}
	join := func(ctx context.Context, r *rig, maxIDs int) error {
		one := newRun(Config{Hosts: []string{"nvidia-dcgm-*"}, Node: string(node)}, r.cluster(), io.Discard, io.Discard)
		one.maxBatch, one.maxIDs = 4, maxIDs
		_, err := one.joinHosts(ctx)
		return err
	}
	whole := newRig(t)
	fill(whole)
	if err := join(t.Context(), whole, maxIDs); err != nil {
		t.Fatal(err)
	}
	want := whole.keys(t, node)
	if len(want) != 32 {
		t.Fatalf("%d events are joined, want 32", len(want))
	}
	const appendsInAll = 11 // of the portions in batches, and one of the joins
	for kills := range appendsInAll {
		if testing.Short() && kills%5 > 0 { // portions, and the joins
			continue
		}
		for _, archived := range []bool{false, true} {
			t.Run(fmt.Sprintf("after %d appends, archived %v", kills, archived), func(t *testing.T) {
				r := newRig(t)
				fill(r)
				ctx, cancel := context.WithCancelCause(t.Context())
				appends := 0
				r.beforeAppend = func([]events.Event) {
					if appends++; appends > kills {
						cancel(errKilled)
					}
				}
				if err := join(ctx, r, 10); !errors.Is(err, errKilled) || !strings.Contains(err.Error(), "run it again") {
					t.Fatalf("got %v, want an error that says to run it again", err)
				}
				r.beforeAppend = nil
				if archived {
					for _, host := range []events.HostID{node, pod, other} {
						r.archivePartition(t, events.PartitionOf(host, partitions))
					}
				}
				there, logged := len(r.keys(t, node)), r.loggedEvents(t)
				if err := join(t.Context(), r, 10); err != nil {
					t.Fatal(err)
				}
				if got, want := r.loggedEvents(t)-logged, len(want)-there+2; got != want {
					t.Errorf("the second run appended %d events, want %d: the rest and two joins", got, want)
				}
				if diff := cmp.Diff(want, r.keys(t, node)); diff != "" {
					t.Errorf("events of the node (-want +got):\n%s", diff)
				}
				if got, want := [2]int{len(r.joins(t, pod)), len(r.joins(t, other))}, [2]int{1, 1}; got != want {
					t.Errorf("the pods have %d joins, want %d", got, want)
				}
			})
		}
	}
}

func TestSeveralPodsAreJoinedAtOnce(t *testing.T) {
	r := newRig(t)
	var want []string
	var evs []events.Event
	for p := range events.Partition(partitions) {
		host := hostIn(p)
		evs = append(evs, eventstest.Events(host, 10*int(p), 3)...)
	}
	r.put(t, evs...)
	r.put(t, eventstest.Event("other", 7))
	for p := range events.Partition(partitions) {
		want = append(want, r.records(t, hostIn(p))...)
	}
	slices.Sort(want)
	joinTo := string(hostIn(3)) // the pattern matches it too
	if got, want := r.join(t, joinTo, "host-*"), (Result{Hosts: partitions - 1, Marked: partitions - 1, Events: 21, Records: 42}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if diff := cmp.Diff(want, r.records(t, hostIn(3))); diff != "" {
		t.Errorf("records of the node (-want +got):\n%s", diff)
	}
	for p := range events.Partition(partitions) {
		if got, want := len(r.joins(t, hostIn(p))), 1; p != 3 && got != want || p == 3 && got != 0 {
			t.Errorf("host %s has %d joins", hostIn(p), got)
		}
	}
	if n := len(r.joins(t, "other")); n != 0 {
		t.Errorf("a host that does not match has %d joins", n)
	}
}

// Events that come before the event which hides them are the node's.
func TestEventsThatArriveMeanwhileAreJoined(t *testing.T) {
	r := newRig(t)
	r.put(t, eventstest.Events(pod, 0, 5)...)
	arrived := false
	r.beforeAppend = func(evs []events.Event) {
		if _, joins := evs[0].Join(); joins && !arrived {
			arrived = true
			r.put(t, eventstest.Event(pod, 99))
		}
	}
	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Marked: 1, Events: 6, Records: 12}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if diff := cmp.Diff(r.records(t, pod), r.records(t, node)); diff != "" {
		t.Errorf("records of the node (-want +got):\n%s", diff)
	}
}

func TestLaterEventsAreJoinedByTheNextRun(t *testing.T) {
	r := newRig(t)
	r.put(t, eventstest.Events(pod, 0, 5)...)
	r.join(t, string(node), string(pod))
	first := r.joins(t, pod)[0]

	r.put(t, eventstest.Event(pod, 99)) // late: its records are older than the join
	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Marked: 1, Events: 1, Records: 2, Existing: 5}); got != want {
		t.Errorf("a late event: got %+v, want %+v", got, want)
	}
	ahead := eventstest.Event(pod, int(time.Since(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))/time.Second)+3600)
	r.put(t, ahead)
	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Marked: 1, Events: 1, Records: 2, Existing: 6}); got != want {
		t.Errorf("an event of a later time: got %+v, want %+v", got, want)
	}
	joins := r.joins(t, pod)
	if len(joins) != 3 || joins[0] != first || joins[2].At != ahead.First() || joins[2].Upto.Number <= first.Upto.Number {
		t.Errorf("the joins are %+v, want the last one at %s, the newest record's time", joins, ahead.First())
	}
	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Existing: 7}); got != want {
		t.Errorf("nothing new: got %+v, want %+v", got, want)
	}
	if diff := cmp.Diff(r.records(t, pod), r.records(t, node)); diff != "" {
		t.Errorf("records of the node (-want +got):\n%s", diff)
	}
}

// The records of a second run are in the node's events when it is killed, and the host still has to leave the views.
func TestInterruptedSecondJoinIsCompleted(t *testing.T) {
	r := newRig(t)
	r.put(t, eventstest.Event(pod, 0))
	r.join(t, string(node), string(pod))
	ahead := events.Join{Node: "x", At: r.joins(t, pod)[0].At + 1}.Event(pod) // a record of that time, of another metric
	ahead.Columns[0].Metric = "m"
	r.put(t, ahead)
	ctx, cancel := context.WithCancelCause(t.Context())
	r.afterAppend = func([]events.Event) error { cancel(errKilled); return errKilled }
	if _, err := Run(ctx, Config{Hosts: []string{string(pod)}, Node: string(node)}, r.cluster(), io.Discard, io.Discard); !errors.Is(err, errKilled) {
		t.Fatalf("got %v, want %v", err, errKilled)
	}
	r.afterAppend = nil
	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Marked: 1, Existing: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The archive drops an event whose records are all repeats, and a join must not add it again.
func TestDroppedRepeatsAreNotJoinedAgain(t *testing.T) {
	r := newRig(t)
	one := eventstest.Event(pod, 0)
	repeat := one
	repeat.Sequence[0]++ // as of another file with the same readings
	r.put(t, one)
	r.put(t, repeat)
	if got := r.join(t, string(node), string(pod)); got.Events != 2 {
		t.Fatalf("got %+v, want 2 events", got)
	}
	r.archivePartition(t, events.PartitionOf(node, partitions))
	if n := len(r.keys(t, node)); n != 1 {
		t.Fatalf("the archive has %d events of the node, want 1: it does not drop repeats", n)
	}
	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Existing: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDryRunAppendsNothing(t *testing.T) {
	r := newRig(t)
	r.put(t, eventstest.Events(pod, 0, 5)...)
	known := eventstest.Event(pod, 3)
	r.put(t, known.JoinTo(node))
	before := r.loggedEvents(t)
	var out bytes.Buffer
	got, err := Run(t.Context(), Config{Hosts: []string{string(pod)}, Node: string(node), DryRun: true}, r.cluster(), &out, io.Discard)
	if want := (Result{Hosts: 1, Events: 4, Records: 8, Existing: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if line := "would join " + string(pod) + " to hpod-n1: 4 events with 8 records to append, 1 there already\n"; !strings.Contains(out.String(), line) {
		t.Errorf("got output %q, want the line %q", out.String(), line)
	}
	if n := r.loggedEvents(t); n != before {
		t.Errorf("%d events are in the log, want the %d of before", n, before)
	}
}

func TestJoinsThatCannotBeRightAreRefused(t *testing.T) {
	r := newRig(t)
	r.put(t, eventstest.Event("a", 0), eventstest.Event("b", 0), eventstest.Event("c", 0))
	r.join(t, "b", "a")
	before := r.loggedEvents(t)
	for _, test := range []struct {
		node  string
		hosts []string
		want  string
	}{
		{"c", []string{"a"}, "host a is joined to b since"},
		{"a", []string{"c"}, "host a is joined to b itself"},
		{"c", []string{"b", "d", "e*"}, "no events of d"},
		{"c", []string{"d*"}, "no host is called d*"},
		{"c", []string{"c"}, "to itself"},
		{"c*", []string{"a"}, "-node"},
		{"c\x00", []string{"a"}, "-node"},
		{" ", []string{"a"}, "-node"},
		{"c", nil, "-host"},
	} {
		_, err := Run(t.Context(), Config{Hosts: test.hosts, Node: test.node}, r.cluster(), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q to %q: got error %v, want one with %q", test.hosts, test.node, err, test.want)
		}
	}
	if n := r.loggedEvents(t); n != before {
		t.Errorf("%d events are in the log, want the %d of before", n, before)
	}
}

func TestDamagedEventsAreLeftOut(t *testing.T) {
	r := newRig(t)
	r.put(t, eventstest.Events(pod, 0, 3)...)
	ev := eventstest.Event(pod, 1)
	key := r.cfg.Root + "/" + events.EventKey(eventlog.DefaultClusterID, partitions, &ev).String()
	if _, err := eventstest.Etcd(t).Put(t.Context(), key, "\xff"); err != nil {
		t.Fatal(err)
	}
	if got, want := r.join(t, string(node), string(pod)), (Result{Hosts: 1, Marked: 1, Events: 2, Records: 4, Damaged: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A join waits while etcd is full, and goes on.
func TestFullEtcdIsWaitedFor(t *testing.T) {
	r := newRig(t)
	r.put(t, eventstest.Events(pod, 0, 3)...)
	full := []eventlog.Capacity{
		{Quota: 100, InUse: 60, Bytes: 60}, {Quota: 100, InUse: 10, Bytes: 95}, {Quota: 100, InUse: 10, Bytes: 20, NoSpace: true},
		{Quota: 100, InUse: 59, Bytes: 94},
	}
	r.capacity = func() eventlog.Capacity {
		now := full[0]
		full = full[min(1, len(full)-1):]
		return now
	}
	r.beforeAppend = func([]events.Event) {
		if len(full) > 1 {
			t.Errorf("events are appended while etcd is as %+v", full[0])
		}
	}
	one := newRun(Config{Hosts: []string{string(pod)}, Node: string(node)}, r.cluster(), io.Discard, io.Discard)
	one.pause = time.Millisecond
	if got, err := one.joinHosts(t.Context()); err != nil || got.Events != 3 {
		t.Errorf("got %+v, %v; want 3 events", got, err)
	}
}

// The host leaves the views when all of its records are in the node's, and not before.
func TestHostIsHiddenAfterItsRecordsAreVisible(t *testing.T) {
	r := newRig(t)
	r.put(t, eventstest.Events(pod, 0, 10)...)
	home := events.PartitionOf(node, partitions)
	var appended, visible int64
	r.beforeAppend = func(evs []events.Event) {
		if _, joins := evs[0].Join(); joins && (visible == 0 || visible < appended) {
			t.Errorf("the host is joined when the node is folded up to %d of %d", visible, appended)
		}
	}
	r.afterAppend = func(evs []events.Event) error {
		head, err := r.Head(t.Context())
		if evs[0].Host == node {
			appended = head.Number
		}
		return err
	}
	late := 0
	r.waitVisible = func(ctx context.Context, upto map[events.Partition]events.Revision) error {
		if late++; late == 1 { // the collectors are behind for longer than is waited for without a notice
			<-ctx.Done()
			return context.Cause(ctx)
		}
		visible = max(visible, upto[home].Number)
		return nil
	}
	one := newRun(Config{Hosts: []string{string(pod)}, Node: string(node)}, r.cluster(), io.Discard, io.Discard)
	one.maxBatch, one.noticeSpan = 4, time.Millisecond
	if got, err := one.joinHosts(t.Context()); err != nil || got.Marked != 1 || late < 4 {
		t.Errorf("got %+v, %v after %d waits", got, err, late)
	}
}
