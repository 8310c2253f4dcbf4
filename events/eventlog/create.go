package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// outgoing is an event on its way into the log.
type outgoing struct {
	host  events.HostID
	key   string
	value string
	count int // of records
	index int // in the events of the Append
}

// request is what goes into one transaction.
type request struct {
	events  []outgoing
	bytes   int
	records int
}

func (r *request) takes(e outgoing) bool {
	return len(r.events) == 0 || len(r.events) < maxTxnEvents && r.records+e.count <= maxTxnRecords &&
		r.bytes+len(e.key)+len(e.value) <= maxTxnBytes
}

func (r *request) add(e outgoing) {
	r.events = append(r.events, e)
	r.bytes += len(e.key) + len(e.value)
	r.records += e.count
}

// create puts events into the log in one transaction, each unless its key is there, and notes in out what
// became of them. unclear means that an earlier attempt may have put them there. A request that this etcd
// finds too large is split.
func (l *Log) create(ctx context.Context, evs []outgoing, unclear bool, out []Appended) error {
	resp, err := etcd.Write(ctx, func(ctx context.Context, again bool) (*clientv3.TxnResponse, error) {
		unclear = unclear || again
		return l.kv.Txn(ctx).Then(createOps(evs, unclear)...).Commit()
	})
	switch {
	case err == nil:
		return l.created(resp, evs, out)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case tooLarge(err) && len(evs) > 1:
		half := len(evs) / 2
		if err := l.create(ctx, evs[:half], unclear, out); err != nil {
			return err
		}
		return l.create(ctx, evs[half:], unclear, out)
	case tooLarge(err):
		return &TooLargeError{Host: evs[0].host, Key: evs[0].key, Bytes: len(evs[0].key) + len(evs[0].value)}
	}
	return err
}

// createOps are one nested transaction per event: put it unless its key is there, else tell since when.
// Where an earlier attempt may have put it, the value is asked for too, to see whose it is.
func createOps(evs []outgoing, unclear bool) []clientv3.Op {
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

// created reads the answer to createOps.
func (l *Log) created(resp *clientv3.TxnResponse, evs []outgoing, out []Appended) error {
	if err := l.checkHeader(resp.Header); err != nil {
		return err
	}
	if len(resp.Responses) != len(evs) {
		return fmt.Errorf("etcd answered %d of %d creations", len(resp.Responses), len(evs))
	}
	for i, e := range evs {
		one := resp.Responses[i].GetResponseTxn()
		if one.GetSucceeded() {
			out[e.index] = Appended{Created: true, Revision: l.at(resp.Header.Revision), Key: e.key}
			continue
		}
		there, err := onlyKey(one)
		if err != nil {
			return fmt.Errorf("asking since when event %s is in the log: %w", e.key, err)
		}
		ours := len(there.Value) > 0 && string(there.Value) == e.value
		out[e.index] = Appended{Created: ours, Revision: l.at(there.CreateRevision), Key: e.key}
	}
	return nil
}

// onlyKey gives the key that a failed creation found.
func onlyKey(resp *pb.TxnResponse) (*mvccpb.KeyValue, error) {
	if n := len(resp.GetResponses()); n != 1 {
		return nil, fmt.Errorf("etcd gave %d answers, not one", n)
	}
	kvs := resp.Responses[0].GetResponseRange().GetKvs()
	if len(kvs) != 1 {
		return nil, fmt.Errorf("etcd gave %d keys, not one", len(kvs))
	}
	return kvs[0], nil
}

// tooLarge tells that etcd finds a request too large, by bytes or by operations, or that gRPC does: its bounds are those
// that are met where etcd's is raised.
func tooLarge(err error) bool {
	if errors.Is(err, rpctypes.ErrRequestTooLarge) || errors.Is(err, rpctypes.ErrTooManyOps) {
		return true
	}
	s, ok := status.FromError(err)
	return ok && s.Code() == codes.ResourceExhausted && strings.Contains(s.Message(), "message larger than max")
}
