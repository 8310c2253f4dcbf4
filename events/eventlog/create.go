package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// outgoingEvent is an encoded event that is about to be appended.
type outgoingEvent struct {
	host  events.HostID
	key   string
	value string
	count int // number of records
	index int // index in the events of the Append
}

// appendRequest is the content of one transaction.
type appendRequest struct {
	events  []outgoingEvent
	bytes   int
	records int
}

func (r *appendRequest) hasRoomFor(e outgoingEvent) bool {
	return len(r.events) == 0 || len(r.events) < maxTxnEvents && r.records+e.count <= maxTxnRecords &&
		r.bytes+len(e.key)+len(e.value) <= maxTxnBytes
}

func (r *appendRequest) addEvent(e outgoingEvent) {
	r.events = append(r.events, e)
	r.bytes += len(e.key) + len(e.value)
	r.records += e.count
}

// createEvents writes events in one transaction, each unless its key exists, and records the outcomes in out. unclear
// means that an earlier attempt may have written them. A request that this etcd finds too large is split.
func (l *Log) createEvents(ctx context.Context, evs []outgoingEvent, unclear bool, out []Appended) error {
	resp, err := etcd.Write(ctx, func(ctx context.Context, again bool) (*clientv3.TxnResponse, error) {
		unclear = unclear || again
		return l.kv.Txn(ctx).Then(createOps(evs, unclear)...).Commit()
	})
	switch {
	case err == nil:
		return l.recordCreated(resp, evs, out)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case tooLarge(err) && len(evs) > 1:
		half := len(evs) / 2
		if err := l.createEvents(ctx, evs[:half], unclear, out); err != nil {
			return err
		}
		return l.createEvents(ctx, evs[half:], unclear, out)
	case tooLarge(err):
		return &TooLargeError{Host: evs[0].host, Key: evs[0].key, Bytes: len(evs[0].key) + len(evs[0].value)}
	}
	return err
}

// createOps returns one nested transaction per event: it puts the event unless its key exists, and otherwise reads
// the key for its revision. If an earlier attempt may have put the event, it reads the value too, to see
// whether this Append wrote it.
func createOps(evs []outgoingEvent, unclear bool) []clientv3.Op {
	ops := make([]clientv3.Op, len(evs))
	for i, e := range evs {
		look := clientv3.OpGet(e.key, clientv3.WithKeysOnly())
		if unclear {
			look = clientv3.OpGet(e.key)
		}
		ops[i] = clientv3.OpTxn(
			[]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(e.key), "=", 0)},
			[]clientv3.Op{clientv3.OpPut(e.key, e.value)},
			[]clientv3.Op{look})
	}
	return ops
}

// recordCreated reads the answer to createOps into out.
func (l *Log) recordCreated(resp *clientv3.TxnResponse, evs []outgoingEvent, out []Appended) error {
	if err := l.checkHeader(resp.Header); err != nil {
		return err
	}
	if len(resp.Responses) != len(evs) {
		return fmt.Errorf("etcd answered %d of %d creations", len(resp.Responses), len(evs))
	}
	for i, e := range evs {
		one := resp.Responses[i].GetResponseTxn()
		if one.GetSucceeded() {
			out[e.index] = Appended{Created: true, Revision: l.revisionAt(resp.Header.Revision), Key: e.key}
			continue
		}
		there, err := onlyKey(one)
		if err != nil {
			return fmt.Errorf("asking since when event %s is in the log: %w", e.key, err)
		}
		ours := len(there.Value) > 0 && string(there.Value) == e.value
		out[e.index] = Appended{Created: ours, Revision: l.revisionAt(there.CreateRevision), Key: e.key}
	}
	return nil
}

// onlyKey returns the key that a failed creation found.
func onlyKey(resp *pb.TxnResponse) (*mvccpb.KeyValue, error) {
	if n := len(resp.GetResponses()); n != 1 {
		return nil, fmt.Errorf("etcd returned %d answers, not one", n)
	}
	kvs := resp.Responses[0].GetResponseRange().GetKvs()
	if len(kvs) != 1 {
		return nil, fmt.Errorf("etcd returned %d keys, not one", len(kvs))
	}
	return kvs[0], nil
}

// tooLarge reports whether etcd finds a request too large, by bytes or by operations, or gRPC does. gRPC's limit
// applies where etcd's is raised.
func tooLarge(err error) bool {
	if errors.Is(err, rpctypes.ErrRequestTooLarge) || errors.Is(err, rpctypes.ErrTooManyOps) {
		return true
	}
	s, ok := status.FromError(err)
	return ok && s.Code() == codes.ResourceExhausted && strings.Contains(s.Message(), "message larger than max")
}
