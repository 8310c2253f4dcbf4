package eventlog

import (
	"context"
	"errors"
	"fmt"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrFenced refuses a Remove whose guards did not hold: whoever calls it has lost its claim and stops.
var ErrFenced = errors.New("removing events from the log: claim lost")

// maxRemoved bounds the events of one transaction: many at once would hold up everybody else's writes.
const maxRemoved = 60

// Remove takes events out of the log, key by key, in transactions of at most 60 under guards; pace is called between
// two of them and ends it by false. One that is gone, or is another by now, is left alone, so doing it again does no harm.
// It gives how many were there.
//
// Nothing else deletes an event. Who calls it has made sure that nobody needs the event any more, or that it is kept
// elsewhere; Read leaves out what is gone, and does not tell.
func (l *Log) Remove(ctx context.Context, refs []events.Ref, pace func(ctx context.Context) bool, guards ...clientv3.Cmp) (int, error) {
	removed := 0
	for len(refs) > 0 {
		n, err := l.removeSome(ctx, refs[:min(len(refs), maxRemoved)], guards)
		if removed += n; err != nil {
			return removed, fmt.Errorf("removing %d events of the log: %w", len(refs), err)
		}
		if refs = refs[min(len(refs), maxRemoved):]; len(refs) > 0 && !pace(ctx) {
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
