package model

import (
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// checkTxn refuses a transaction with more operations than etcd allows: nested operations count against the remainder.
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
			err = checkKey(o.RequestRange.Key)
		case *pb.RequestOp_RequestPut:
			err = checkKey(o.RequestPut.Key)
		case *pb.RequestOp_RequestDeleteRange:
			err = checkKey(o.RequestDeleteRange.Key)
		case *pb.RequestOp_RequestTxn:
			err = checkTxn(o.RequestTxn, ops-n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkKey(key []byte) error {
	if len(key) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	return nil
}

// keyRange is a range of keys that is deleted.
type keyRange struct{ key, end string }

// checkOverlap refuses operations that put a key twice, or put and delete it. Both branches of a nested transaction may put one key.
func checkOverlap(ops []*pb.RequestOp) (put map[string]bool, deleted []keyRange, err error) {
	put = make(map[string]bool)
	add := func(key string, known bool) error {
		if put[key] && !known || slices.ContainsFunc(deleted, func(d keyRange) bool { return inRange(key, d.key, d.end) }) {
			return rpctypes.ErrGRPCDuplicateKey
		}
		put[key] = true
		return nil
	}
	for _, op := range ops {
		if d := op.GetRequestDeleteRange(); d != nil {
			deleted = append(deleted, keyRange{string(d.Key), string(d.RangeEnd)})
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

// hasPut reports whether a transaction may put a key, in any branch.
func hasPut(r *pb.TxnRequest) bool {
	return slices.ContainsFunc(slices.Concat(r.Success, r.Failure), func(op *pb.RequestOp) bool {
		nested := op.GetRequestTxn()
		return op.GetRequestPut() != nil || nested != nil && hasPut(nested)
	})
}

// hasWrite reports whether a transaction may change a key, in any branch.
func hasWrite(r *pb.TxnRequest) bool {
	return slices.ContainsFunc(slices.Concat(r.Success, r.Failure), func(op *pb.RequestOp) bool {
		nested := op.GetRequestTxn()
		return op.GetRequestPut() != nil || op.GetRequestDeleteRange() != nil || nested != nil && hasWrite(nested)
	})
}

// checkOps returns the error of the first operation that would fail, before any is applied.
func (x *execution) checkOps(r *pb.TxnRequest, path []bool, writing bool) error {
	_, err := x.checkBranch(r, path, writing)
	return err
}

func (x *execution) checkBranch(r *pb.TxnRequest, path []bool, writing bool) (rest []bool, err error) {
	ops := chosenOps(r, path[0])
	path = path[1:]
	for _, op := range ops {
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			err = x.etcd.store.checkRange(o.RequestRange)
			if writing && o.RequestRange.Revision > 0 {
				x.etcd.failUnknown("a range at an old revision inside a transaction that writes (members of a cluster may differ on it, etcd issue 21432)")
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
		e.failUnknown("a put that keeps the value or the lease")
	}
	if p.Lease != 0 && e.leases[p.Lease] == nil {
		return rpctypes.ErrGRPCLeaseNotFound
	}
	return nil
}
