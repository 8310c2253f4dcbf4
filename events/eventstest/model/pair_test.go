package model_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/eventstest/model"
)

// pair is a real etcd and a model that receive the same requests and no others, so even revisions have to agree.
type pair struct {
	*testing.T
	etcd  *model.Etcd
	sides [2]*side // the real one first
}

// side is one of the two. Tests refer to leases by their number and to watches by their order, as ids differ on both sides.
type side struct {
	*clientv3.Client
	watches []*history

	mu     sync.Mutex // watches record in goroutines of their own
	leases []clientv3.LeaseID
}

// history is the output of a watch, in short form.
type history struct {
	mu    sync.Mutex
	lines []string
}

func newPair(t *testing.T) *pair {
	server := eventstest.NewServer(t, nil)
	etcd := model.New(t, model.Options{MinLeaseTTL: time.Second})
	return &pair{T: t, etcd: etcd, sides: [2]*side{{Client: server.Client(t)}, {Client: connect(t, etcd.Client("test"))}}}
}

// compareAnswers makes a request to both and compares the answers, which it returns.
func (p *pair) compareAnswers(what string, question func(s *side) string) string {
	p.Helper()
	real, modelled := question(p.sides[0]), question(p.sides[1])
	if real != modelled {
		p.Fatalf("%s:\n etcd says  %s\n model says %s", what, real, modelled)
	}
	return real
}

// formatAnswer returns the text of an answer.
func (s *side) formatAnswer(header *pb.ResponseHeader, body string, err error) string {
	if err != nil {
		return "error " + err.Error()
	}
	return fmt.Sprintf("@%d %s", header.Revision, body)
}

func (s *side) get(key string, opts ...clientv3.OpOption) string {
	resp, err := s.Get(context.Background(), key, opts...)
	if err != nil {
		return s.formatAnswer(nil, "", err)
	}
	return s.formatAnswer(resp.Header, s.formatRange((*pb.RangeResponse)(resp)), nil)
}

func (s *side) formatRange(r *pb.RangeResponse) string {
	var out []string
	for _, kv := range r.Kvs {
		out = append(out, s.formatKV(kv))
	}
	return fmt.Sprintf("%s count %d more %t", out, r.Count, r.More)
}

func (s *side) formatKV(kv *mvccpb.KeyValue) string {
	if kv == nil {
		return "-"
	}
	return fmt.Sprintf("%s=%s c%d m%d v%d l%d", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version, s.leaseNumber(kv.Lease))
}

// leaseNumber returns the number of a lease in order of grants: the ids of both sides differ.
func (s *side) leaseNumber(id int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Index(s.leases, clientv3.LeaseID(id))
}

func (s *side) txn(cmps []clientv3.Cmp, then, other []clientv3.Op) string {
	resp, err := s.Txn(context.Background()).If(cmps...).Then(then...).Else(other...).Commit()
	if err != nil {
		return s.formatAnswer(nil, "", err)
	}
	return s.formatAnswer(resp.Header, s.formatTxn((*pb.TxnResponse)(resp)), nil)
}

func (s *side) formatTxn(r *pb.TxnResponse) string {
	out := []string{fmt.Sprint(r.Succeeded)}
	for _, one := range r.Responses {
		switch o := one.Response.(type) {
		case *pb.ResponseOp_ResponseRange:
			out = append(out, s.formatRange(o.ResponseRange))
		case *pb.ResponseOp_ResponsePut:
			out = append(out, "put over "+s.formatKV(o.ResponsePut.PrevKv))
		case *pb.ResponseOp_ResponseDeleteRange:
			out = append(out, s.formatDelete(o.ResponseDeleteRange))
		case *pb.ResponseOp_ResponseTxn:
			out = append(out, "("+s.formatTxn(o.ResponseTxn)+")")
		}
	}
	return strings.Join(out, "; ")
}

func (s *side) formatDelete(r *pb.DeleteRangeResponse) string {
	out := []string{fmt.Sprint("deleted ", r.Deleted)}
	for _, kv := range r.PrevKvs {
		out = append(out, s.formatKV(kv))
	}
	return strings.Join(out, " ")
}

func (s *side) grant(ttl int64) string {
	resp, err := s.Grant(context.Background(), ttl)
	if err != nil {
		return s.formatAnswer(nil, "", err)
	}
	s.mu.Lock()
	s.leases = append(s.leases, resp.ID)
	s.mu.Unlock()
	return s.formatAnswer(resp.ResponseHeader, fmt.Sprint("ttl ", resp.TTL), nil)
}

func (s *side) revoke(n int) string {
	resp, err := s.Revoke(context.Background(), s.leases[n])
	if err != nil {
		return s.formatAnswer(nil, "", err)
	}
	return s.formatAnswer(resp.Header, "revoked", nil)
}

func (s *side) compact(rev int64) string {
	resp, err := s.Compact(context.Background(), rev)
	if err != nil {
		return s.formatAnswer(nil, "", err)
	}
	return s.formatAnswer(resp.Header, "compacted", nil)
}

// startWatch starts a watch that is recorded until the test ends.
func (s *side) startWatch(t *testing.T, ctx context.Context, key string, opts ...clientv3.OpOption) {
	h := &history{}
	s.watches = append(s.watches, h)
	answers := s.Watch(ctx, key, opts...)
	var wg sync.WaitGroup
	wg.Go(func() {
		for resp := range answers {
			h.record(s, &resp)
		}
	})
	t.Cleanup(wg.Wait)
}

func (h *history) record(s *side, resp *clientv3.WatchResponse) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case resp.Created:
		h.lines = append(h.lines, fmt.Sprint("created @", resp.Header.Revision))
	case resp.CompactRevision > 0:
		h.lines = append(h.lines, fmt.Sprint("compacted @", resp.CompactRevision))
	case resp.Err() != nil:
		h.lines = append(h.lines, rpctypes.ErrorDesc(resp.Err()))
	case resp.IsProgressNotify():
		h.lines = append(h.lines, fmt.Sprint("progress @", resp.Header.Revision))
	}
	for _, ev := range resp.Events {
		h.lines = append(h.lines, fmt.Sprintf("%s %s", ev.Type, s.formatKV(ev.Kv)))
	}
}

func (h *history) recorded() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines)
}

// sameHistories waits until every watch has received the same on both sides.
func (p *pair) sameHistories() {
	p.Helper()
	deadline := time.Now().Add(time.Minute)
	for i := range p.sides[0].watches {
		for {
			diff := cmp.Diff(p.sides[0].watches[i].recorded(), p.sides[1].watches[i].recorded())
			if diff == "" {
				break
			}
			if time.Now().After(deadline) {
				p.Fatalf("watch %d received other responses (-etcd +model):\n%s", i, diff)
			}
			time.Sleep(time.Millisecond)
		}
	}
}
