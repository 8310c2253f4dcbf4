package model_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestRandomRequests asks a real etcd and the model thousands of random questions; every answer and every watch has to be the same.
func TestRandomRequests(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	r := &random{pair: p, Rand: rand.New(rand.NewPCG(3, 4)), ctx: t.Context(), rev: 1}
	for range 4000 {
		r.step()
	}
	p.sameHistories()
	if lines := len(p.sides[0].watches[0].recorded()); lines == 0 {
		t.Error("the first watch received nothing")
	}
}

// TestLimits makes requests that etcd refuses.
func TestLimits(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	ops := func(n int) (all []clientv3.Op) {
		for i := range n {
			all = append(all, clientv3.OpPut(fmt.Sprint("k", i), "v"))
		}
		return all
	}
	nested := func(n int) clientv3.Op { return clientv3.OpTxn(nil, ops(n), nil) }
	var deep []clientv3.Op
	for i := range 64 {
		key := fmt.Sprint("n", i)
		deep = append(deep, clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)},
			[]clientv3.Op{clientv3.OpPut(key, "v")}, []clientv3.Op{clientv3.OpGet(key, clientv3.WithKeysOnly())}))
	}
	for name, then := range map[string][]clientv3.Op{
		"as many operations as fit":  ops(128),
		"one more":                   ops(129),
		"nested beside as many":      append(ops(100), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("a", "")}, nil)),
		"more than is left":          append([]clientv3.Op{clientv3.OpGet("x")}, nested(128)),
		"64 nested":                  deep,
		"64 nested again":            deep,
		"a key twice":                {clientv3.OpPut("a", "1"), clientv3.OpPut("a", "2")},
		"put and deleted":            {clientv3.OpPut("a", "1"), clientv3.OpDelete("a")},
		"put in a deleted range":     {clientv3.OpPut("ab", "1"), clientv3.OpDelete("a", clientv3.WithPrefix())},
		"put by two nested":          {nested(1), nested(1)},
		"put nested and beside":      {nested(1), clientv3.OpPut("k0", "")},
		"both branches":              {clientv3.OpTxn(nil, ops(1), ops(1))},
		"a lease that is not there":  {clientv3.OpPut("a", "1", clientv3.WithLease(4711))},
		"an empty key":               {clientv3.OpPut("", "1")},
		"as large as a request":      {clientv3.OpPut("a", strings.Repeat("x", 1536<<10-100))},
		"larger than a request":      {clientv3.OpPut("a", strings.Repeat("x", 1536<<10+1))},
		"future":                     {clientv3.OpGet("a", clientv3.WithRev(1_000_000))},
		"nested that fails as whole": {clientv3.OpPut("b", "1"), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("a", "1", clientv3.WithLease(4711))}, nil)},
	} {
		p.compareAnswers(name, func(s *side) string { return s.txn(nil, then, nil) })
	}
	p.compareAnswers("all there is", func(s *side) string { return s.get("", clientv3.WithPrefix(), clientv3.WithKeysOnly()) })
}

// TestNoSpace asks while the alarm is raised.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.compareAnswers("put", func(s *side) string {
		return s.txn(nil, []clientv3.Op{clientv3.OpPut("a", "1"), clientv3.OpPut("b", "1")}, nil)
	})
	p.compareAnswers("grant", func(s *side) string { return s.grant(3600) })
	alarm := pb.NewMaintenanceClient(p.sides[0].ActiveConnection())
	if _, err := alarm.Alarm(t.Context(), &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE, MemberID: memberOf(t, p.sides[0])}); err != nil {
		t.Fatal(err)
	}
	p.etcd.SetNoSpace(true)
	for name, question := range map[string]func(s *side) string{
		"put":           func(s *side) string { return s.txn(nil, []clientv3.Op{clientv3.OpPut("c", "1")}, nil) },
		"put not taken": func(s *side) string { return s.txn(nil, nil, []clientv3.Op{clientv3.OpPut("c", "1")}) },
		"put nested": func(s *side) string {
			return s.txn(nil, []clientv3.Op{clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("c", "1")}, nil)}, nil)
		},
		"get":    func(s *side) string { return s.get("a") },
		"delete": func(s *side) string { return s.txn(nil, []clientv3.Op{clientv3.OpDelete("a")}, nil) },
		"grant":  func(s *side) string { return s.grant(3600) },
		"keep alive": func(s *side) string {
			r, err := s.KeepAliveOnce(t.Context(), s.leases[0])
			return fmt.Sprint(r.TTL, err)
		},
		"read only and txn": func(s *side) string { return s.txn(nil, []clientv3.Op{clientv3.OpGet("b")}, nil) },
	} {
		t.Run(name, func(t *testing.T) { p.compareAnswers(name, question) })
	}
}

func memberOf(t *testing.T, s *side) uint64 {
	resp, err := s.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.MemberId
}

// TestLeases lets leases run out, in the order of their times, but for one that is kept.
func TestLeases(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, ttl := range []int64{3, 1, 1} {
		p.compareAnswers("grant", func(s *side) string { return s.grant(ttl) })
	}
	for _, s := range p.sides {
		if _, err := s.KeepAlive(t.Context(), s.leases[2]); err != nil {
			t.Fatal(err)
		}
		s.startWatch(t, t.Context(), "", clientv3.WithPrefix())
	}
	for i, key := range []string{"b", "z", "a", "kept", "moved", "alone"} {
		p.compareAnswers("put", func(s *side) string {
			return s.txn(nil, []clientv3.Op{clientv3.OpPut(key, "1", clientv3.WithLease(s.leases[[]int{0, 1, 0, 2, 1, 1}[i]]))}, nil)
		})
	}
	p.compareAnswers("a key leaves its lease", func(s *side) string { return s.txn(nil, []clientv3.Op{clientv3.OpPut("alone", "2")}, nil) })
	p.compareAnswers("a key changes its lease", func(s *side) string {
		return s.txn(nil, []clientv3.Op{clientv3.OpPut("moved", "2", clientv3.WithLease(s.leases[0]))}, nil)
	})
	deadline := time.Now().Add(time.Minute)
	for len(p.sides[0].watches[0].recorded()) < 12 || len(p.sides[1].watches[0].recorded()) < 12 {
		if time.Now().After(deadline) {
			t.Fatalf("leases did not end: etcd reported\n%q, the model\n%q", p.sides[0].watches[0].recorded(), p.sides[1].watches[0].recorded())
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.sameHistories()
	p.compareAnswers("what is left", func(s *side) string { return s.get("", clientv3.WithPrefix()) })
	p.compareAnswers("revoke", func(s *side) string { return s.revoke(2) })
	p.compareAnswers("revoke what is gone", func(s *side) string { return s.revoke(1) })
	p.compareAnswers("keep what is gone", func(s *side) string { _, err := s.KeepAliveOnce(t.Context(), s.leases[1]); return fmt.Sprint(err) })
	p.sameHistories()
}

// TestProgress asks streams how far they are.
func TestProgress(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	put := func(key string) {
		p.compareAnswers("put", func(s *side) string { return s.txn(nil, []clientv3.Op{clientv3.OpPut(key, "1")}, nil) })
	}
	put("a")
	put("b")
	one, other := clientv3.WithRequireLeader(t.Context()), t.Context()
	for _, s := range p.sides {
		s.startWatch(t, one, "a", clientv3.WithRev(1))
		s.startWatch(t, one, "z")
		s.startWatch(t, other, "a", clientv3.WithRev(2))
		s.startWatch(t, other, "a", clientv3.WithRev(10)) // the future: no watch on its stream receives anything
	}
	p.sameHistories()
	request := func() {
		for _, s := range p.sides {
			for _, ctx := range []context.Context{one, other} {
				if err := s.RequestProgress(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	waitForLine := func(i int, want string) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for _, s := range p.sides {
			for h := s.watches[i].recorded(); len(h) == 0 || h[len(h)-1] != want; h = s.watches[i].recorded() {
				if time.Now().After(deadline) {
					t.Fatalf("watch %d received %q, want %q at last", i, h, want)
				}
				request()
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	waitForLine(0, "progress @3")
	waitForLine(1, "progress @3")
	put("a")
	waitForLine(0, "progress @4")
	for i := range 8 {
		put(fmt.Sprint("c", i))
	}
	put("a")
	waitForLine(1, "progress @13")
	waitForLine(2, "progress @13")
	waitForLine(3, "progress @13")
	for i := range 4 {
		for n, s := range p.sides {
			lines := s.watches[i].recorded()
			if i >= 2 && strings.Contains(strings.Join(lines, " "), "progress @4") {
				t.Errorf("side %d reported progress to watch %d while one of its stream was of the future: %q", n, i, lines)
			}
		}
	}
}
