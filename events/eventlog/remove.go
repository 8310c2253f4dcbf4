package eventlog

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// ErrFenced refuses a Remove whose guards did not hold: the caller has lost its claim and must stop.
var ErrFenced = errors.New("removing events from the log: claim lost")

// maxRemoved bounds the events of one transaction: a large one would delay other clients' writes.
const maxRemoved = 60

// Remove deletes events from the log, key by key, in transactions of at most 60 under guards. It calls throttle
// between two transactions and stops when that returns false. An event that is gone or was replaced is left alone, so
// a repeated call does no harm. It returns the number of events that it deleted.
//
// Nothing else deletes an event. The caller has made sure that no reader needs the event any more, or that it is kept
// elsewhere; Read leaves out removed events without an error.
func (l *Log) Remove(ctx context.Context, refs []events.Ref, throttle func(ctx context.Context) bool, guards ...clientv3.Cmp) (int, error) {
	removed := 0
	for len(refs) > 0 {
		n, err := l.removeSome(ctx, refs[:min(len(refs), maxRemoved)], guards)
		if removed += n; err != nil {
			return removed, fmt.Errorf("removing %d events of the log: %w", len(refs), err)
		}
		if refs = refs[min(len(refs), maxRemoved):]; len(refs) > 0 && !throttle(ctx) {
			return removed, context.Cause(ctx)
		}
	}
	return removed, nil
}

func (l *Log) removeSome(ctx context.Context, refs []events.Ref, guards []clientv3.Cmp) (int, error) {
	ops := make([]clientv3.Op, len(refs))
	for i, r := range refs {
		if err := l.checkPosition(r.Revision); err != nil {
			return 0, err
		}
		same := clientv3.Compare(clientv3.ModRevision(r.Key), "=", r.Revision.Number)
		ops[i] = clientv3.OpTxn([]clientv3.Cmp{same}, []clientv3.Op{clientv3.OpDelete(r.Key)}, nil)
	}
	resp, err := etcd.Write(ctx, func(ctx context.Context, _ bool) (*clientv3.TxnResponse, error) {
		return l.kv.Txn(ctx).If(guards...).Then(ops...).Commit()
	})
	switch {
	case err != nil:
		return 0, err
	case !resp.Succeeded:
		return 0, ErrFenced
	}
	n := 0
	for _, one := range resp.Responses {
		if one.GetResponseTxn().GetSucceeded() {
			n++
		}
	}
	return n, nil
}
