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

// maxSend is what etcd's client sends at most, whatever the server takes.
const maxSend = 2 << 20

// txn does a transaction for a client, as etcd does: all compares first, nested ones too, then what can fail, then the changes.
func (e *Etcd) txn(client string, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if size := proto.Size(r); size > maxSend {
		return nil, status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", size, maxSend)
	} else if size > e.opt.MaxRequestBytes && writes(r) {
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
	if e.noSpace && puts(r) {
		return nil, rpctypes.ErrGRPCNoSpace
	}
	x := &execution{etcd: e}
	path := x.path(r)
	if err := x.check(r, slices.Clone(path), writes(r)); err != nil {
		return nil, err
	}
	succeeded := path[0]
	resp, _ := x.run(r, path)
	resp.Header = e.header()
	if compares := r.Compare; succeeded {
		e.commit(client, compares, x.changes)
	} else {
		e.commit(client, nil, x.changes)
	}
	resp.Header.Revision = e.store.rev
	return resp, nil
}

// checkTxn holds a transaction to the number of operations that etcd takes: nested ones count against what is left.
func checkTxn(r *pb.TxnRequest, ops int) error {
	n := max(len(r.Compare), len(r.Success), len(r.Failure))
	if n > ops {
		return rpctypes.ErrGRPCTooManyOps
	}
	for _, c := range r.Compare {
		if len(c.Key) == 0 {
			return rpctypes.ErrGRPCEmptyKey
		}
	}
	for _, op := range slices.Concat(r.Success, r.Failure) {
		var err error
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			err = keyed(o.RequestRange.Key)
		case *pb.RequestOp_RequestPut:
			err = keyed(o.RequestPut.Key)
		case *pb.RequestOp_RequestDeleteRange:
			err = keyed(o.RequestDeleteRange.Key)
		case *pb.RequestOp_RequestTxn:
			err = checkTxn(o.RequestTxn, ops-n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func keyed(key []byte) error {
	if len(key) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	return nil
}

// span is a range of keys that is deleted.
type span struct{ key, end string }

// checkOverlap refuses operations that put a key twice, or put and delete it. Both branches of a nested transaction may put one key.
func checkOverlap(ops []*pb.RequestOp) (put map[string]bool, deleted []span, err error) {
	put = make(map[string]bool)
	add := func(key string, known bool) error {
		if put[key] && !known || slices.ContainsFunc(deleted, func(d span) bool { return inRange(key, d.key, d.end) }) {
			return rpctypes.ErrGRPCDuplicateKey
		}
		put[key] = true
		return nil
	}
	for _, op := range ops {
		if d := op.GetRequestDeleteRange(); d != nil {
			deleted = append(deleted, span{string(d.Key), string(d.RangeEnd)})
		}
	}
	for _, op := range ops {
		nested := op.GetRequestTxn()
		if nested == nil {
			continue
		}
		then, thenDeleted, err := checkOverlap(nested.Success)
		if err != nil {
			return nil, nil, err
		}
		other, otherDeleted, err := checkOverlap(nested.Failure)
		if err != nil {
			return nil, nil, err
		}
		for key := range then {
			if err := add(key, false); err != nil {
				return nil, nil, err
			}
		}
		for key := range other {
			if err := add(key, then[key]); err != nil {
				return nil, nil, err
			}
		}
		deleted = append(append(deleted, thenDeleted...), otherDeleted...)
	}
	for _, op := range ops {
		if p := op.GetRequestPut(); p != nil {
			if err := add(string(p.Key), false); err != nil {
				return nil, nil, err
			}
		}
	}
	return put, deleted, nil
}

// puts tells whether a transaction may put something, in whichever branch.
func puts(r *pb.TxnRequest) bool {
	return slices.ContainsFunc(slices.Concat(r.Success, r.Failure), func(op *pb.RequestOp) bool {
		nested := op.GetRequestTxn()
		return op.GetRequestPut() != nil || nested != nil && puts(nested)
	})
}

// writes tells whether it may change something.
func writes(r *pb.TxnRequest) bool {
	return slices.ContainsFunc(slices.Concat(r.Success, r.Failure), func(op *pb.RequestOp) bool {
		nested := op.GetRequestTxn()
		return op.GetRequestPut() != nil || op.GetRequestDeleteRange() != nil || nested != nil && writes(nested)
	})
}

// execution is a transaction under way.
type execution struct {
	etcd    *Etcd
	changes []*mvccpb.Event
}

// path tells for a transaction and those nested in its branch, in order, whether their compares hold.
func (x *execution) path(r *pb.TxnRequest) []bool {
	holds := !slices.ContainsFunc(r.Compare, func(c *pb.Compare) bool { return !x.compare(c) })
	path := []bool{holds}
	for _, op := range branch(r, holds) {
		if nested := op.GetRequestTxn(); nested != nil {
			path = append(path, x.path(nested)...)
		}
	}
	return path
}

func branch(r *pb.TxnRequest, holds bool) []*pb.RequestOp {
	if holds {
		return r.Success
	}
	return r.Failure
}

func (x *execution) compare(c *pb.Compare) bool {
	s := &x.etcd.store
	there := false
	for _, key := range s.within(string(c.Key), string(c.RangeEnd)) {
		if v := s.at(key, s.rev); v != nil {
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

// check finds what would fail, before anything is changed. It uses path up.
func (x *execution) check(r *pb.TxnRequest, path []bool, writing bool) error {
	_, err := x.checkBranch(r, path, writing)
	return err
}

func (x *execution) checkBranch(r *pb.TxnRequest, path []bool, writing bool) (rest []bool, err error) {
	ops := branch(r, path[0])
	path = path[1:]
	for _, op := range ops {
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			err = x.etcd.store.checkRange(o.RequestRange)
			if writing && o.RequestRange.Revision > 0 {
				x.etcd.unknown("a range at an old revision inside a transaction that writes (members of a cluster may differ on it, etcd issue 21432)")
			}
		case *pb.RequestOp_RequestPut:
			err = x.etcd.checkPut(o.RequestPut)
		case *pb.RequestOp_RequestTxn:
			path, err = x.checkBranch(o.RequestTxn, path, writing)
		}
		if err != nil {
			return nil, err
		}
	}
	return path, nil
}

func (e *Etcd) checkPut(p *pb.PutRequest) error {
	if p.IgnoreLease || p.IgnoreValue {
		e.unknown("a put that keeps the value or the lease")
	}
	if p.Lease != 0 && e.leases[p.Lease] == nil {
		return rpctypes.ErrGRPCLeaseNotFound
	}
	return nil
}

// run makes the changes and the answer. It uses path up.
func (x *execution) run(r *pb.TxnRequest, path []bool) (resp *pb.TxnResponse, rest []bool) {
	resp = &pb.TxnResponse{Succeeded: path[0]}
	ops := branch(r, path[0])
	path = path[1:]
	for _, op := range ops {
		one := &pb.ResponseOp{}
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			one.Response = &pb.ResponseOp_ResponseRange{ResponseRange: x.etcd.store.read(o.RequestRange, x.now())}
		case *pb.RequestOp_RequestPut:
			one.Response = &pb.ResponseOp_ResponsePut{ResponsePut: x.put(o.RequestPut)}
		case *pb.RequestOp_RequestDeleteRange:
			one.Response = &pb.ResponseOp_ResponseDeleteRange{ResponseDeleteRange: x.delete(o.RequestDeleteRange)}
		case *pb.RequestOp_RequestTxn:
			var nested *pb.TxnResponse
			nested, path = x.run(o.RequestTxn, path)
			nested.Header = &pb.ResponseHeader{}
			one.Response = &pb.ResponseOp_ResponseTxn{ResponseTxn: nested}
		}
		resp.Responses = append(resp.Responses, one)
	}
	return resp, path
}

// now is the newest revision as the transaction sees it.
func (x *execution) now() int64 {
	if len(x.changes) > 0 {
		return x.etcd.store.rev + 1
	}
	return x.etcd.store.rev
}

func (x *execution) put(p *pb.PutRequest) *pb.PutResponse {
	s := &x.etcd.store
	key, rev := string(p.Key), s.rev+1
	v := version{mod: rev, create: rev, version: 1, lease: p.Lease, value: bytes.Clone(p.Value)}
	resp := &pb.PutResponse{Header: &pb.ResponseHeader{Revision: rev}}
	if old := s.at(key, rev); old != nil {
		v.create, v.version = old.create, old.version+1
		if p.PrevKv {
			resp.PrevKv = old.kv(key)
		}
		x.etcd.detach(old.lease, key)
	}
	s.add(key, v)
	if p.Lease != 0 {
		x.etcd.leases[p.Lease].keys[key] = true
	}
	x.changes = append(x.changes, &mvccpb.Event{Type: mvccpb.Event_PUT, Kv: v.kv(key)})
	return resp
}

func (x *execution) delete(d *pb.DeleteRangeRequest) *pb.DeleteRangeResponse {
	s := &x.etcd.store
	resp := &pb.DeleteRangeResponse{Header: &pb.ResponseHeader{}}
	for _, key := range slices.Clone(s.within(string(d.Key), string(d.RangeEnd))) {
		old := s.at(key, s.rev+1)
		if old == nil {
			continue
		}
		if resp.Deleted++; d.PrevKv {
			resp.PrevKvs = append(resp.PrevKvs, old.kv(key))
		}
		x.remove(key, old)
	}
	resp.Header.Revision = x.now()
	return resp
}

// remove deletes a key that is there.
func (x *execution) remove(key string, old *version) {
	s := &x.etcd.store
	x.etcd.detach(old.lease, key)
	s.add(key, version{mod: s.rev + 1, deleted: true})
	x.changes = append(x.changes, &mvccpb.Event{Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: s.rev + 1}})
}
