package model_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// random makes random requests with few keys, so that requests often share keys.
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
		key, value, lease, prev := r.key(), r.value(), r.anyLease(), r.IntN(3) == 0
		r.noteRevision(r.compareAnswers("put "+key, func(s *side) string {
			resp, err := s.Put(r.ctx, key, value, putOptions(s, lease, prev)...)
			if err != nil {
				return s.formatAnswer(nil, "", err)
			}
			return s.formatAnswer(resp.Header, s.formatKV(resp.PrevKv), nil)
		}))
	case n < 30:
		key, opts := r.keyRange()
		if r.IntN(2) == 0 {
			opts = append(opts, clientv3.WithPrevKV())
		}
		r.noteRevision(r.compareAnswers("delete "+key, func(s *side) string {
			resp, err := s.Delete(r.ctx, key, opts...)
			if err != nil {
				return s.formatAnswer(nil, "", err)
			}
			return s.formatAnswer(resp.Header, s.formatDelete((*pb.DeleteRangeResponse)(resp)), nil)
		}))
	case n < 55:
		key, opts := r.keyRange()
		opts = append(opts, r.rangeOptions(true)...)
		r.compareAnswers("get "+key, func(s *side) string { return s.get(key, opts...) })
	case n < 85:
		shape := r.shape(2)
		r.noteRevision(r.compareAnswers("txn", func(s *side) string {
			cmps, then, other := shape.buildOps(s)
			return s.txn(cmps, then, other)
		}))
	case n < 89:
		r.compareAnswers("grant", func(s *side) string { return s.grant(3600) })
	case n < 91 && len(r.sides[0].leases) > 0:
		lease := r.IntN(len(r.sides[0].leases))
		r.noteRevision(r.compareAnswers("revoke", func(s *side) string { return s.revoke(lease) }))
	case n < 94:
		rev := r.rev - 30 + r.Int64N(35)
		r.sameHistories()
		time.Sleep(time.Until(r.began.Add(150 * time.Millisecond))) // etcd takes up to 100 ms to serve a watch that starts in the past
		r.compareAnswers(fmt.Sprint("compact ", rev), func(s *side) string { return s.compact(max(rev, 1)) })
	case n < 95 && len(r.sides[0].watches) < 25:
		r.beginWatch()
	}
}

// noteRevision stores the newest revision from an answer.
func (r *random) noteRevision(answer string) {
	fmt.Sscanf(answer, "@%d", &r.rev)
}

func (r *random) beginWatch() {
	key, opts := r.keyRange()
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
		s.startWatch(r.T, r.ctx, key, opts...)
	}
	r.began = time.Now()
}

func (r *random) key() string { return string(rune('a'+r.IntN(3))) + fmt.Sprint(r.IntN(5)) }

func (r *random) value() string { return fmt.Sprint(r.IntN(10)) }

// keyRange returns a key, or a range of keys.
func (r *random) keyRange() (string, []clientv3.OpOption) {
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

// anyLease returns the number of a lease, or -1.
func (r *random) anyLease() int {
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
	if r.IntN(5) == 0 { // by values that no two keys share, or the order is undefined
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

func (sh shape) buildOps(s *side) (cmps []clientv3.Cmp, then, other []clientv3.Op) {
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
		key, value, lease, prev := r.key(), r.value(), r.anyLease(), r.IntN(4) == 0
		return func(s *side) clientv3.Op { return clientv3.OpPut(key, value, putOptions(s, lease, prev)...) }
	case n < 6:
		key, opts := r.keyRange()
		op := clientv3.OpDelete(key, opts...)
		if string(op.RangeBytes()) == "\x00" { // where etcd does not see that a put overlaps
			op = clientv3.OpDelete(key)
		}
		return func(*side) clientv3.Op { return op }
	case n < 8 || depth == 0:
		key, opts := r.keyRange()
		op := clientv3.OpGet(key, append(opts, r.rangeOptions(false)...)...)
		return func(*side) clientv3.Op { return op }
	}
	sh := r.shape(depth - 1)
	return func(s *side) clientv3.Op { return clientv3.OpTxn(sh.buildOps(s)) }
}
