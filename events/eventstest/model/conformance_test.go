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
	if told := len(p.sides[0].watches[0].all()); told == 0 {
		t.Error("the first watch was told nothing")
	}
}

// random makes requests. Keys are few, so that they meet.
type random struct {
	*pair
	*rand.Rand
	ctx   context.Context
	rev   int64     // about the newest one
	began time.Time // the newest watch
}

func (r *random) step() {
	switch n := r.IntN(100); {
	case n < 20:
		key, value, lease, prev := r.key(), r.value(), r.lease(), r.IntN(3) == 0
		r.learn(r.ask("put "+key, func(s *side) string {
			resp, err := s.Put(r.ctx, key, value, putOptions(s, lease, prev)...)
			if err != nil {
				return s.tell(nil, "", err)
			}
			return s.tell(resp.Header, s.kv(resp.PrevKv), nil)
		}))
	case n < 30:
		key, opts := r.span()
		if r.IntN(2) == 0 {
			opts = append(opts, clientv3.WithPrevKV())
		}
		r.learn(r.ask("delete "+key, func(s *side) string {
			resp, err := s.Delete(r.ctx, key, opts...)
			if err != nil {
				return s.tell(nil, "", err)
			}
			return s.tell(resp.Header, s.deleted((*pb.DeleteRangeResponse)(resp)), nil)
		}))
	case n < 55:
		key, opts := r.span()
		opts = append(opts, r.rangeOptions(true)...)
		r.ask("get "+key, func(s *side) string { return s.get(key, opts...) })
	case n < 85:
		shape := r.shape(2)
		r.learn(r.ask("txn", func(s *side) string {
			cmps, then, other := shape.of(s)
			return s.txn(cmps, then, other)
		}))
	case n < 89:
		r.ask("grant", func(s *side) string { return s.grant(3600) })
	case n < 91 && len(r.sides[0].leases) > 0:
		lease := r.IntN(len(r.sides[0].leases))
		r.learn(r.ask("revoke", func(s *side) string { return s.revoke(lease) }))
	case n < 94:
		rev := r.rev - 30 + r.Int64N(35)
		r.sameHistories()
		time.Sleep(time.Until(r.began.Add(150 * time.Millisecond))) // etcd takes up to 100 ms to look after a watch of the past
		r.ask(fmt.Sprint("compact ", rev), func(s *side) string { return s.compact(max(rev, 1)) })
	case n < 95 && len(r.sides[0].watches) < 25:
		r.beginWatch()
	}
}

// learn takes the newest revision from an answer.
func (r *random) learn(answer string) {
	fmt.Sscanf(answer, "@%d", &r.rev)
}

func (r *random) beginWatch() {
	key, opts := r.span()
	if op := clientv3.OpGet(key, opts...); len(op.RangeBytes()) > 1 && string(op.RangeBytes()) <= key {
		return // etcd's client ends every watch of the stream for one with an empty range
	}
	opts = append(opts, clientv3.WithCreatedNotify())
	if rev := r.rev - 30 + r.Int64N(33); r.IntN(3) > 0 {
		opts = append(opts, clientv3.WithRev(max(rev, 1)))
	}
	for _, filter := range []clientv3.OpOption{clientv3.WithFilterDelete(), clientv3.WithFilterPut()} {
		if r.IntN(4) == 0 {
			opts = append(opts, filter)
		}
	}
	for _, s := range r.sides {
		s.watch(r.T, r.ctx, key, opts...)
	}
	r.began = time.Now()
}

func (r *random) key() string { return string(rune('a'+r.IntN(3))) + fmt.Sprint(r.IntN(5)) }

func (r *random) value() string { return fmt.Sprint(r.IntN(10)) }

// span is a key, or a range of keys.
func (r *random) span() (string, []clientv3.OpOption) {
	switch r.IntN(5) {
	case 0:
		return string(rune('a' + r.IntN(3))), []clientv3.OpOption{clientv3.WithPrefix()}
	case 1:
		return r.key(), []clientv3.OpOption{clientv3.WithRange(r.key())}
	case 2:
		return r.key(), []clientv3.OpOption{clientv3.WithFromKey()}
	}
	return r.key(), nil
}

// lease gives the number of a lease, or -1.
func (r *random) lease() int {
	if n := len(r.sides[0].leases); n > 0 && r.IntN(3) == 0 {
		return r.IntN(n)
	}
	return -1
}

func putOptions(s *side, lease int, prev bool) (opts []clientv3.OpOption) {
	if lease >= 0 {
		opts = append(opts, clientv3.WithLease(s.leases[lease]))
	}
	if prev {
		opts = append(opts, clientv3.WithPrevKV())
	}
	return opts
}

func (r *random) rangeOptions(anyRevision bool) (opts []clientv3.OpOption) {
	if r.IntN(4) == 0 {
		opts = append(opts, clientv3.WithLimit(int64(1+r.IntN(4))))
	}
	if r.IntN(4) == 0 {
		opts = append(opts, clientv3.WithKeysOnly())
	}
	if r.IntN(6) == 0 {
		opts = append(opts, clientv3.WithCountOnly())
	}
	if anyRevision && r.IntN(3) == 0 {
		opts = append(opts, clientv3.WithRev(max(1, r.rev-20+r.Int64N(23))))
	}
	if r.IntN(6) == 0 {
		opts = append(opts, clientv3.WithSerializable())
	}
	for _, bound := range []func(int64) clientv3.OpOption{clientv3.WithMinModRev, clientv3.WithMaxModRev, clientv3.WithMinCreateRev, clientv3.WithMaxCreateRev} {
		if r.IntN(6) == 0 {
			opts = append(opts, bound(max(1, r.rev-10+r.Int64N(10))))
		}
	}
	if r.IntN(5) == 0 { // by what no two keys have in common, or the order is not told
		target := []clientv3.SortTarget{clientv3.SortByKey, clientv3.SortByKey}[r.IntN(2)]
		opts = append(opts, clientv3.WithSort(target, []clientv3.SortOrder{clientv3.SortNone, clientv3.SortAscend, clientv3.SortDescend}[r.IntN(3)]))
	}
	return opts
}

// shape is a transaction that can be made for either side.
type shape struct {
	cmps        []clientv3.Cmp
	then, other []func(s *side) clientv3.Op
}

func (sh shape) of(s *side) (cmps []clientv3.Cmp, then, other []clientv3.Op) {
	for _, op := range sh.then {
		then = append(then, op(s))
	}
	for _, op := range sh.other {
		other = append(other, op(s))
	}
	return sh.cmps, then, other
}

func (r *random) shape(depth int) shape {
	var sh shape
	for range r.IntN(3) {
		sh.cmps = append(sh.cmps, r.compare())
	}
	for range r.IntN(4) {
		sh.then = append(sh.then, r.op(depth))
	}
	for range r.IntN(3) {
		sh.other = append(sh.other, r.op(depth))
	}
	return sh
}

func (r *random) compare() clientv3.Cmp {
	key := r.key()
	results := []string{"=", "!=", "<", ">"}
	result := results[r.IntN(4)]
	var c clientv3.Cmp
	switch r.IntN(4) {
	case 0:
		c = clientv3.Compare(clientv3.Value(key), result, r.value())
	case 1:
		c = clientv3.Compare(clientv3.Version(key), result, r.IntN(3))
	case 2:
		c = clientv3.Compare(clientv3.CreateRevision(key), result, r.IntN(2)*int(r.rev-r.Int64N(10)))
	default:
		c = clientv3.Compare(clientv3.ModRevision(key), result, r.IntN(2)*int(r.rev-r.Int64N(10)))
	}
	if r.IntN(6) == 0 {
		c = c.WithPrefix()
	}
	return c
}

func (r *random) op(depth int) func(s *side) clientv3.Op {
	switch n := r.IntN(10); {
	case n < 4:
		key, value, lease, prev := r.key(), r.value(), r.lease(), r.IntN(4) == 0
		return func(s *side) clientv3.Op { return clientv3.OpPut(key, value, putOptions(s, lease, prev)...) }
	case n < 6:
		key, opts := r.span()
		op := clientv3.OpDelete(key, opts...)
		if string(op.RangeBytes()) == "\x00" { // where etcd does not see that a put overlaps
			op = clientv3.OpDelete(key)
		}
		return func(*side) clientv3.Op { return op }
	case n < 8 || depth == 0:
		key, opts := r.span()
		op := clientv3.OpGet(key, append(opts, r.rangeOptions(false)...)...)
		return func(*side) clientv3.Op { return op }
	}
	sh := r.shape(depth - 1)
	return func(s *side) clientv3.Op { return clientv3.OpTxn(sh.of(s)) }
}

// TestLimits asks for what etcd refuses.
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
		p.ask(name, func(s *side) string { return s.txn(nil, then, nil) })
	}
	p.ask("all there is", func(s *side) string { return s.get("", clientv3.WithPrefix(), clientv3.WithKeysOnly()) })
}

// TestNoSpace asks while the alarm is raised.
func TestNoSpace(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.ask("put", func(s *side) string {
		return s.txn(nil, []clientv3.Op{clientv3.OpPut("a", "1"), clientv3.OpPut("b", "1")}, nil)
	})
	p.ask("grant", func(s *side) string { return s.grant(3600) })
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
		t.Run(name, func(t *testing.T) { p.ask(name, question) })
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
		p.ask("grant", func(s *side) string { return s.grant(ttl) })
	}
	for _, s := range p.sides {
		if _, err := s.KeepAlive(t.Context(), s.leases[2]); err != nil {
			t.Fatal(err)
		}
		s.watch(t, t.Context(), "", clientv3.WithPrefix())
	}
	for i, key := range []string{"b", "z", "a", "kept", "moved", "alone"} {
		p.ask("put", func(s *side) string {
			return s.txn(nil, []clientv3.Op{clientv3.OpPut(key, "1", clientv3.WithLease(s.leases[[]int{0, 1, 0, 2, 1, 1}[i]]))}, nil)
		})
	}
	p.ask("a key leaves its lease", func(s *side) string { return s.txn(nil, []clientv3.Op{clientv3.OpPut("alone", "2")}, nil) })
	p.ask("a key changes its lease", func(s *side) string {
		return s.txn(nil, []clientv3.Op{clientv3.OpPut("moved", "2", clientv3.WithLease(s.leases[0]))}, nil)
	})
	deadline := time.Now().Add(20 * time.Second)
	for len(p.sides[0].watches[0].all()) < 12 || len(p.sides[1].watches[0].all()) < 12 {
		if time.Now().After(deadline) {
			t.Fatalf("leases did not end: etcd told\n%q, the model\n%q", p.sides[0].watches[0].all(), p.sides[1].watches[0].all())
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.sameHistories()
	p.ask("what is left", func(s *side) string { return s.get("", clientv3.WithPrefix()) })
	p.ask("revoke", func(s *side) string { return s.revoke(2) })
	p.ask("revoke what is gone", func(s *side) string { return s.revoke(1) })
	p.ask("keep what is gone", func(s *side) string { _, err := s.KeepAliveOnce(t.Context(), s.leases[1]); return fmt.Sprint(err) })
	p.sameHistories()
}

// TestProgress asks streams how far they are.
func TestProgress(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	put := func(key string) {
		p.ask("put", func(s *side) string { return s.txn(nil, []clientv3.Op{clientv3.OpPut(key, "1")}, nil) })
	}
	put("a")
	put("b")
	one, other := clientv3.WithRequireLeader(t.Context()), t.Context()
	for _, s := range p.sides {
		s.watch(t, one, "a", clientv3.WithRev(1))
		s.watch(t, one, "z")
		s.watch(t, other, "a", clientv3.WithRev(2))
		s.watch(t, other, "a", clientv3.WithRev(10)) // the future: nobody on its stream is told anything
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
	told := func(i int, want string) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for _, s := range p.sides {
			for h := s.watches[i].all(); len(h) == 0 || h[len(h)-1] != want; h = s.watches[i].all() {
				if time.Now().After(deadline) {
					t.Fatalf("watch %d was told %q, want %q at last", i, h, want)
				}
				request()
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	told(0, "progress @3")
	told(1, "progress @3")
	put("a")
	told(0, "progress @4")
	for i := range 8 {
		put(fmt.Sprint("c", i))
	}
	put("a")
	told(1, "progress @13")
	told(2, "progress @13")
	told(3, "progress @13")
	for i := range 4 {
		for n, s := range p.sides {
			told := s.watches[i].all()
			if i >= 2 && strings.Contains(strings.Join(told, " "), "progress @4") {
				t.Errorf("side %d told watch %d its progress while one of its stream was of the future: %q", n, i, told)
			}
		}
	}
}
