package model

import (
	"bytes"
	"cmp"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// checkRange returns etcd's error for a range that cannot be read at the requested revision, or nil.
func (s *store) checkRange(r *pb.RangeRequest) error {
	switch {
	case len(r.Key) == 0:
		return rpctypes.ErrGRPCEmptyKey
	case r.Revision > s.rev:
		return rpctypes.ErrGRPCFutureRev
	case r.Revision > 0 && r.Revision < s.compacted:
		return rpctypes.ErrGRPCCompacted
	}
	return nil
}

// readRange returns the answer to a checked range request. now is the newest revision that the request sees.
func (s *store) readRange(r *pb.RangeRequest, now int64) *pb.RangeResponse {
	resp := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: now}}
	rev := cmp.Or(r.Revision, now)
	for _, key := range s.keysInRange(string(r.Key), string(r.RangeEnd)) {
		v := s.versionAt(key, rev)
		if v == nil {
			continue
		}
		resp.Count++
		if !r.CountOnly && matchesRevisions(r, v) {
			resp.Kvs = append(resp.Kvs, v.keyValue(key))
		}
	}
	sortRange(r, resp.Kvs)
	if r.Limit > 0 && int64(len(resp.Kvs)) > r.Limit {
		resp.Kvs, resp.More = resp.Kvs[:r.Limit], true
	}
	if r.KeysOnly {
		for _, kv := range resp.Kvs { // etcd answers these from its index, which knows no leases
			kv.Value = nil
			if r.SortTarget != pb.RangeRequest_VALUE {
				kv.Lease = 0
			}
		}
	}
	return resp
}

// matchesRevisions reports whether a version is within the requested revisions.
func matchesRevisions(r *pb.RangeRequest, v *version) bool {
	return (r.MinModRevision == 0 || v.mod >= r.MinModRevision) && (r.MaxModRevision == 0 || v.mod <= r.MaxModRevision) &&
		(r.MinCreateRevision == 0 || v.create >= r.MinCreateRevision) && (r.MaxCreateRevision == 0 || v.create <= r.MaxCreateRevision)
}

// sortRange sorts an answer as requested; it is sorted by key already.
func sortRange(r *pb.RangeRequest, kvs []*mvccpb.KeyValue) {
	by := func(a, b *mvccpb.KeyValue) int { return bytes.Compare(a.Key, b.Key) }
	switch r.SortTarget {
	case pb.RangeRequest_VERSION:
		by = func(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.Version, b.Version) }
	case pb.RangeRequest_CREATE:
		by = func(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.CreateRevision, b.CreateRevision) }
	case pb.RangeRequest_MOD:
		by = func(a, b *mvccpb.KeyValue) int { return cmp.Compare(a.ModRevision, b.ModRevision) }
	case pb.RangeRequest_VALUE:
		by = func(a, b *mvccpb.KeyValue) int { return bytes.Compare(a.Value, b.Value) }
	}
	if r.SortOrder == pb.RangeRequest_DESCEND {
		slices.SortStableFunc(kvs, func(a, b *mvccpb.KeyValue) int { return by(b, a) })
	} else if r.SortTarget != pb.RangeRequest_KEY {
		slices.SortStableFunc(kvs, by)
	}
}
