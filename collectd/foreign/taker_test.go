package foreign

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

// A backlog larger than one list, then keys that come one by one: all of it is taken once, and nothing else is
// touched.
func TestWhatIsThereAndWhatComesIsTakenOnce(t *testing.T) {
	r := newRig(t)
	others := []string{r.cfg.Root + "/queue/other/1752871354_h_0_1", r.cfg.Prefix("queue") + "900/x", r.cfg.Prefix("queue")}
	for _, key := range others {
		if _, err := r.etcd.Put(t.Context(), key, wideRow("other", 0, 1)); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	put := func(name string, i int) {
		host := fmt.Sprintf("host-%d", i%7)
		r.putKey(name, wideRow(host, i, i%100))
		want = append(want, utilOf(host, i, i%100))
	}
	for i := range 2*listPage + 88 {
		put(fmt.Sprintf("%d_host-%d_0_%d", 1752871354+i, i%7, i), i)
	}
	put("!before all partitions", 700)
	put("0000_between two", 701)
	put("0010_between two", 702)
	put("2025-07-18T20:42:34Z_a/b_0_1", 703)
	taker := r.newTaker(r.log)
	r.runTaker(taker)
	r.waitUntil("the backlog is taken", func() bool { return len(r.foreignKeys()) == 0 })
	for i := range 20 {
		put(fmt.Sprintf("%d_host_0_late", 1752875354+i), 800+i)
	}
	eventstest.Shared(t).Compact(t)
	put("later than a compaction", 900)
	put("0020_that no watch reports", 901)
	r.waitUntil("all is taken", func() bool { return len(r.foreignKeys()) == 0 })
	r.wantRecords(want...)
	for _, key := range others {
		if resp, err := r.etcd.Get(t.Context(), key); err != nil || len(resp.Kvs) != 1 {
			t.Errorf("%s is gone (%v), and is not ours", key, err)
		}
	}
	s := taker.Status()
	if !s.Leading || s.Taken != int64(len(want)) || s.Records != int64(len(want)) || s.Repeated != 0 || s.SetAside != 0 || s.Failures != 0 {
		t.Errorf("status %+v, want %d taken", s, len(want))
	}
}

// Unusable values are kept with the reason where the collectors find them, and the rest is taken.
func TestWhatCannotBeUsedIsKeptWithItsReason(t *testing.T) {
	r := newRig(t)
	const garbage = "not JSON\x00\xff\nat all"
	half := "[" + wideRow("h", 1, 1) + `,{"hostname":"h"}]`
	r.putKey("1752871354_rack_7_0_1", garbage)
	r.putKey("x", half)
	r.putKey("1752871355_h_0_1", wideRow("h", 2, 2))
	r.putKey(strings.Repeat("long", 200)+"_h_0_1", "{}")
	taker := r.newTaker(r.log)
	r.runTaker(taker)
	r.waitUntil("all is taken", func() bool { return len(r.foreignKeys()) == 0 })
	r.wantRecords(utilOf("h", 1, 1), utilOf("h", 2, 2))
	_, damaged := r.logContent()
	got := map[string]string{} // content by reason
	for _, ev := range damaged {
		damage := ev.Damage.(*events.DamageError)
		aside, is := damage.Cause.(*events.DeadLetterError)
		if !is {
			t.Fatalf("%s: %v, want an AsideError", ev.Key, damage.Cause)
		}
		_, content, _ := strings.Cut(string(damage.Value), "\n")
		got[aside.Reason] = content
		if strings.HasSuffix(aside.Key, "rack_7_0_1") && (ev.Host != "rack_7" || !strings.Contains(ev.Key, "/20250718T204234.")) {
			t.Errorf("garbage of host rack_7 is at %s", ev.Key)
		}
	}
	want := map[string]string{
		"it is not UTF-8": garbage,
		"row 2: no column has the time; name it timestamp, or give the time of all rows with ?ts= (of 2 rows; what else they say is in the log)": half,
		"row 1: it is no object with a field for each reading": "{}",
	}
	for reason, content := range want {
		if got[reason] != content {
			t.Errorf("%q: %.80q was kept, want %.80q", reason, got[reason], content)
		}
	}
	if len(damaged) != 3 || taker.Status().SetAside != 3 || taker.Status().Taken != 4 {
		t.Errorf("%d are kept (%v), status %+v; want 3", len(damaged), got, taker.Status())
	}
}

// The same garbage under the same key once more is the same event of the log.
func TestGarbageThatComesAgainIsKeptOnce(t *testing.T) {
	r := newRig(t)
	r.runTaker(r.newTaker(r.log))
	for range 3 {
		r.putKey("1752871354_h_0_1", "garbage")
		r.waitUntil("it is taken", func() bool { return len(r.foreignKeys()) == 0 })
	}
	if _, damaged := r.logContent(); len(damaged) != 1 {
		t.Errorf("%d events, want one", len(damaged))
	}
}

// Killed before and after every request to etcd: the next owner continues, and every record is in one event.
func TestKilledAtEveryStep(t *testing.T) {
	steps := 0
	for at := 1; ; at++ {
		killed := false
		for _, after := range []bool{false, true} {
			r := newRig(t)
			want := []string{}
			for i := range 5 {
				r.putKey(fmt.Sprintf("%d_h_0_%d", 1752871354+i, i), "["+wideRow("h", i, i)+","+wideRow("g", i, i)+"]")
				want = append(want, utilOf("h", i, i), utilOf("g", i, i))
			}
			r.putKey("1752871359_h_0_9", "["+wideRow("h", 9, 9)+",7]")
			want = append(want, utilOf("h", 9, 9))
			f := &faults{at: at, after: after}
			dying := &takerRun{Taker: r.newTaker(r.faultyLog(f)), guard: r.guard}
			if err := dying.takeAllKeys(t.Context()); f.killed != (err != nil) {
				t.Fatalf("step %d, after %v: killed %v, but %v", at, after, f.killed, err)
			}
			killed = killed || f.killed
			if err := (&takerRun{Taker: r.newTaker(r.log), guard: r.guard}).takeAllKeys(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.wantRecords(want...)
			if _, damaged := r.logContent(); len(damaged) != 1 || len(r.foreignKeys()) > 0 {
				t.Errorf("step %d, after %v: %d values are set aside, want 1; left: %v", at, after, len(damaged), r.foreignKeys())
			}
		}
		if !killed {
			break
		}
		steps++
	}
	if steps < 5 {
		t.Errorf("a pass took %d requests, want at least 5: list, fetch, append, remove, set aside", steps)
	}
}

// Every answer of etcd lost once: the request is made again, and nothing is there twice or missing.
func TestAnswersLostAtEveryStep(t *testing.T) {
	for at, calls := 1, 1; at <= calls; at++ {
		r := newRig(t)
		r.putKey("1752871354_h_0_1", wideRow("h", 1, 1))
		r.putKey("1752871355_h_0_1", "garbage")
		f := &faults{at: at, after: true, once: true}
		taker := r.newTaker(r.faultyLog(f))
		if err := (&takerRun{Taker: taker, guard: r.guard}).takeAllKeys(t.Context()); err != nil {
			t.Fatalf("answer %d is lost: %v", at, err)
		}
		calls = f.calls - 1 // one was made again
		r.wantRecords(utilOf("h", 1, 1))
		if _, damaged := r.logContent(); len(damaged) != 1 || len(r.foreignKeys()) > 0 {
			t.Errorf("answer %d is lost: %d values are set aside, want 1; left: %v", at, len(damaged), r.foreignKeys())
		}
		if s := taker.Status(); s.Records != 1 || s.Repeated != 0 || s.SetAside != 1 {
			t.Errorf("answer %d is lost: status %+v", at, s)
		}
	}
}

// A producer writes a key again while it is taken: nothing that was not read is removed.
func TestKeysWrittenAgainAtEveryStepAreTakenAgain(t *testing.T) {
	for at, met := 1, true; met; at++ {
		r := newRig(t)
		r.putKey("1752871354_h_0_1", wideRow("h", 1, 1))
		r.putKey("1752871355_h_0_1", "garbage")
		met = false
		f := &faults{meet: func(call int) {
			if call == at {
				met = true
				r.putKey("1752871354_h_0_1", wideRow("h", 2, 2))
				r.putKey("1752871355_h_0_1", wideRow("h", 3, 3))
			}
		}}
		log := r.faultyLog(f)
		met = false
		for range 2 {
			if err := (&takerRun{Taker: r.newTaker(log), guard: r.guard}).takeAllKeys(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		records, _ := r.logContent()
		if records[utilOf("h", 2, 2)] != 1 && met || records[utilOf("h", 3, 3)] != 1 && met || len(r.foreignKeys()) > 0 {
			t.Errorf("written again at request %d: the log has %v, left are %v", at, records, r.foreignKeys())
		}
	}
}

// A taker that lost the claim removes and moves nothing, and stops by itself.
func TestALostClaimRemovesNothing(t *testing.T) {
	for _, value := range []string{wideRow("h", 1, 1), "garbage"} {
		r := newRig(t)
		r.putKey("1752871354_h_0_1", value)
		if _, err := r.etcd.Delete(t.Context(), r.owner); err != nil {
			t.Fatal(err)
		}
		taker := r.newTaker(r.log)
		taker.Run(t.Context(), r.guard) // returns
		if left := r.foreignKeys(); !slices.Equal(left, []string{"1752871354_h_0_1"}) {
			t.Errorf("%.20q: left are %v, want it there", value, left)
		}
		if s := taker.Status(); s.Leading || s.Taken > 0 {
			t.Errorf("status %+v", s)
		}
	}
}

// A value as large as etcd takes is no more than a value. One that is unusable too and cannot be moved stays, is
// reported and blocks no other.
func TestValuesAsLargeAsEtcdTakes(t *testing.T) {
	r := newRig(t)
	const room = 1536<<10 - 200
	var rows []string
	size := 0
	for i := 0; size < room-500; i++ {
		rows = append(rows, wideRow("h", i, i%100))
		size += len(rows[i]) + 1
	}
	r.putKey("1752871354_h_0_1", "["+strings.Join(rows, ",")+"]")
	r.putKey("1752871355_h_0_1", strings.Repeat("garbage", room/7))
	r.putKey("1752871356_h_0_1", wideRow("g", 1, 1))
	taker := r.newTaker(r.log)
	r.runTaker(taker)
	r.waitUntil("it is taken", func() bool { s := taker.Status(); return s.Taken == 2 && s.Left == 1 })
	if left := r.foreignKeys(); !slices.Equal(left, []string{"1752871355_h_0_1"}) {
		t.Errorf("left are %v", left)
	}
	if records, _ := r.logContent(); len(records) != len(rows)+1 {
		t.Errorf("%d records, want %d", len(records), len(rows)+1)
	}
	if _, err := r.etcd.Delete(t.Context(), r.cfg.Prefix("queue")+"1752871355_h_0_1"); err != nil {
		t.Fatal(err)
	}
	r.putKey("1752871357_h_0_1", wideRow("g", 2, 2))
	r.waitUntil("no key is reported as left", func() bool { s := taker.Status(); return s.Taken == 3 && s.Left == 0 })
}

// An etcd that takes more than its client sends: an unusable value that cannot be moved blocks no other there either.
func TestValuesLargerThanARequest(t *testing.T) {
	server := eventstest.NewServer(t, func(cfg *embed.Config) { cfg.MaxRequestBytes = 8 << 20 })
	r := newRigOn(t, server)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, MaxCallSendMsgSize: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Put(t.Context(), r.cfg.Prefix("queue")+"0000_large_0_1", strings.Repeat("garbage", 3<<20/7)); err != nil {
		t.Fatal(err)
	}
	r.putKey("1752871354_h_0_1", wideRow("h", 1, 1))
	taker := r.newTaker(r.log)
	r.runTaker(taker)
	r.waitUntil("the other is taken", func() bool { s := taker.Status(); return s.Taken == 1 && s.Left == 1 && s.Failures == 0 })
	r.wantRecords(utilOf("h", 1, 1))
}

// An etcd without space takes nothing. Keys wait, that is reported, and taking resumes by itself.
func TestKeysWaitWhileEtcdIsFull(t *testing.T) {
	server := eventstest.NewServer(t, func(cfg *embed.Config) { cfg.QuotaBackendBytes = 2 << 20 })
	r := newRigOn(t, server)
	r.putKey("1752871354_h_0_1", wideRow("h", 1, 1))
	r.putKey("1752871355_h_0_1", "garbage")
	for i := 0; ; i++ {
		_, err := r.etcd.Put(t.Context(), fmt.Sprintf("/filler/%d", i), strings.Repeat("x", 128<<10))
		if errors.Is(err, rpctypes.ErrNoSpace) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	taker := r.newTaker(r.log)
	r.runTaker(taker)
	r.waitUntil("it is reported", func() bool { s := taker.Status(); return s.Failures > 0 && strings.Contains(s.Error, "disarm") })
	if left := r.foreignKeys(); len(left) != 2 {
		t.Errorf("left are %v, want both keys", left)
	}
	server.Compact(t)
	if _, err := r.etcd.Delete(t.Context(), "/filler/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	server.Compact(t)
	if _, err := r.etcd.AlarmDisarm(t.Context(), &clientv3.AlarmMember{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.etcd.Defragment(t.Context(), server.Endpoint()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.etcd.AlarmDisarm(t.Context(), &clientv3.AlarmMember{}); err != nil {
		t.Fatal(err)
	}
	r.waitUntil("it is taken", func() bool { s := taker.Status(); return s.Taken == 2 && s.Error == "" })
	r.wantRecords(utilOf("h", 1, 1))
}
