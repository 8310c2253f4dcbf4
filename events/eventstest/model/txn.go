package model

import (
	"bytes"
	"cmp"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// maxSend is the size limit of etcd's client for a request, regardless of the server's limit.
const maxSend = 2 << 20

// runTxn runs a client's transaction as etcd does: all compares first, including nested ones, then all checks that can fail, then
// the changes.
func (e *Etcd) runTxn(client string, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if size := proto.Size(r); size > maxSend {
		return nil, status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", size, maxSend)
	} else if size > e.opt.MaxRequestBytes && hasWrite(r) {
		return nil, rpctypes.ErrGRPCRequestTooLarge
	}
	if err := checkTxn(r, e.opt.MaxTxnOps); err != nil {
		return nil, err
	}
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		if _, _, err := checkOverlap(ops); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.noSpace && hasPut(r) {
		return nil, rpctypes.ErrGRPCNoSpace
	}
	x := &execution{etcd: e}
	path := x.evalCompares(r)
	if err := x.checkOps(r, slices.Clone(path), hasWrite(r)); err != nil {
		return nil, err
	}
	succeeded := path[0]
	resp, _ := x.applyTxn(r, path)
	resp.Header = e.responseHeader()
	if compares := r.Compare; succeeded {
		e.commitChanges(client, compares, x.changes)
	} else {
		e.commitChanges(client, nil, x.changes)
	}
	resp.Header.Revision = e.store.rev
	return resp, nil
}

// execution is a running transaction.
type execution struct {
	etcd    *Etcd
	changes []*mvccpb.Event
}

// evalCompares returns, for a transaction and the ones nested in its branch, in order, whether their compares hold.
func (x *execution) evalCompares(r *pb.TxnRequest) []bool {
	holds := !slices.ContainsFunc(r.Compare, func(c *pb.Compare) bool { return !x.compareHolds(c) })
	path := []bool{holds}
	for _, op := range chosenOps(r, holds) {
		if nested := op.GetRequestTxn(); nested != nil {
			path = append(path, x.evalCompares(nested)...)
		}
	}
	return path
}

func chosenOps(r *pb.TxnRequest, holds bool) []*pb.RequestOp {
	if holds {
		return r.Success
	}
	return r.Failure
}

func (x *execution) compareHolds(c *pb.Compare) bool {
	s := &x.etcd.store
	there := false
	for _, key := range s.keysInRange(string(c.Key), string(c.RangeEnd)) {
		if v := s.versionAt(key, s.rev); v != nil {
			there = true
			if !x.compareOne(c, v) {
				return false
			}
		}
	}
	if there {
		return true
	}
	return c.Target != pb.Compare_VALUE && x.compareOne(c, &version{})
}

func (x *execution) compareOne(c *pb.Compare, v *version) bool {
	var result int
	switch c.Target {
	case pb.Compare_VALUE:
		result = bytes.Compare(v.value, c.GetValue())
	case pb.Compare_CREATE:
		result = cmp.Compare(v.create, c.GetCreateRevision())
	case pb.Compare_MOD:
		result = cmp.Compare(v.mod, c.GetModRevision())
	case pb.Compare_VERSION:
		result = cmp.Compare(v.version, c.GetVersion())
	case pb.Compare_LEASE:
		result = cmp.Compare(v.lease, c.GetLease())
	}
	switch c.Result {
	case pb.Compare_EQUAL:
		return result == 0
	case pb.Compare_NOT_EQUAL:
		return result != 0
	case pb.Compare_GREATER:
		return result > 0
	}
	return result < 0
}

// applyTxn applies the changes and returns the answer. It consumes the head of path and returns the rest.
func (x *execution) applyTxn(r *pb.TxnRequest, path []bool) (resp *pb.TxnResponse, rest []bool) {
	resp = &pb.TxnResponse{Succeeded: path[0]}
	ops := chosenOps(r, path[0])
	path = path[1:]
	for _, op := range ops {
		one := &pb.ResponseOp{}
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			one.Response = &pb.ResponseOp_ResponseRange{ResponseRange: x.etcd.store.readRange(o.RequestRange, x.currentRevision())}
		case *pb.RequestOp_RequestPut:
			one.Response = &pb.ResponseOp_ResponsePut{ResponsePut: x.putKey(o.RequestPut)}
		case *pb.RequestOp_RequestDeleteRange:
			one.Response = &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: x.deleteRange(o.RequestDeleteRange)}
		case *pb.RequestOp_RequestTxn:
			var nested *pb.TxnResponse
			nested, path = x.applyTxn(o.RequestTxn, path)
			nested.Header = &pb.ResponseHeader{}
			one.Response = &pb.ResponseOp_ResponseTxn{ResponseTxn: nested}
		}
		resp.Responses = append(resp.Responses, one)
	}
	return resp, path
}

// currentRevision returns the newest revision as the transaction sees it.
func (x *execution) currentRevision() int64 {
	if len(x.changes) > 0 {
		return x.etcd.store.rev + 1
	}
	return x.etcd.store.rev
}

func (x *execution) putKey(p *pb.PutRequest) *pb.PutResponse {
	s := &x.etcd.store
	key, rev := string(p.Key), s.rev+1
	v := version{mod: rev, create: rev, version: 1, lease: p.Lease, value: bytes.Clone(p.Value)}
	resp := &pb.PutResponse{Header: &pb.ResponseHeader{Revision: rev}}
	if old := s.versionAt(key, rev); old != nil {
		v.create, v.version = old.create, old.version+1
		if p.PrevKv {
			resp.PrevKv = old.keyValue(key)
		}
		x.etcd.detachKey(old.lease, key)
	}
	s.addVersion(key, v)
	if p.Lease != 0 {
		x.etcd.leases[p.Lease].keys[key] = true
	}
	x.changes = append(x.changes, &mvccpb.Event{Type: mvccpb.Event_PUT, Kv: v.keyValue(key)})
	return resp
}

func (x *execution) deleteRange(d *pb.DeleteRangeRequest) *pb.DeleteRangeResponse {
	s := &x.etcd.store
	resp := &pb.DeleteRangeResponse{Header: &pb.ResponseHeader{}}
	for _, key := range slices.Clone(s.keysInRange(string(d.Key), string(d.RangeEnd))) {
		old := s.versionAt(key, s.rev+1)
		if old == nil {
			continue
		}
		if resp.Deleted++; d.PrevKv {
			resp.PrevKvs = append(resp.PrevKvs, old.keyValue(key))
		}
		x.deleteKey(key, old)
	}
	resp.Header.Revision = x.currentRevision()
	return resp
}

// deleteKey deletes an existing key.
func (x *execution) deleteKey(key string, old *version) {
	s := &x.etcd.store
	x.etcd.detachKey(old.lease, key)
	s.addVersion(key, version{mod: s.rev + 1, deleted: true})
	x.changes = append(x.changes, &mvccpb.Event{Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: s.rev + 1}})
}
