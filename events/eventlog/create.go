package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/events/etcd"
)

// requestSize is the size of a request, or of the events that wait for one.
type requestSize struct{ events, bytes, records int }

func (s *requestSize) add(e *outgoingEvent) {
	s.events++
	s.bytes += e.size()
	s.records += e.count
}

func (s *requestSize) remove(e *outgoingEvent) {
	s.events--
	s.bytes -= e.size()
	s.records -= e.count
}

func (s *requestSize) isFull() bool {
	return s.events >= maxTxnEvents || s.bytes >= maxTxnBytes || s.records >= maxTxnRecords
}

// appendRequest is the content of one transaction.
type appendRequest struct {
	requestSize
	entries []*appendEntry
	byKey   map[string]*appendEntry
	ctx     context.Context // ends when nobody waits for any of the events
	cancel  context.CancelFunc
	gathers *time.Timer // ends the time for which the request lets events gather
	slow    bool        // that time has ended; guarded by the committer's mu
}

// appendEntry is a key of a request with its events: several if Appends that share the request have the same event,
// because a transaction may write a key only once.
type appendEntry struct {
	events []*outgoingEvent
	sent   *outgoingEvent // the one whose value is sent
}

func (r *appendRequest) hasRoomFor(e *outgoingEvent) bool {
	return r.events == 0 || r.events < maxTxnEvents && r.records+e.count <= maxTxnRecords && r.bytes+e.size() <= maxTxnBytes
}

func (r *appendRequest) addEvent(e *outgoingEvent) {
	r.add(e)
	if entry := r.byKey[e.key]; entry != nil {
		entry.events = append(entry.events, e)
		return
	}
	entry := &appendEntry{events: []*outgoingEvent{e}}
	r.byKey[e.key] = entry
	r.entries = append(r.entries, entry)
}

// isAwaitedLocked reports whether some event's Append has not ended.
func (r *appendRequest) isAwaitedLocked() bool {
	for _, e := range r.entries {
		if e.awaitedLocked() != nil {
			return true
		}
	}
	return false
}

// awaitedLocked returns the first event whose Append has not ended; nil if there is none.
func (e *appendEntry) awaitedLocked() *outgoingEvent {
	for _, one := range e.events {
		if !one.of.ended {
			return one
		}
	}
	return nil
}

// errAbandoned ends a request whose Appends have all ended.
var errAbandoned = errors.New("nobody waits for the events any more")

// createEvents writes the events of entries in one transaction, each unless its key exists, and reports the outcomes.
// unclear means that an earlier attempt may have written them. A request that this etcd finds too large is split.
func (l *Log) createEvents(ctx context.Context, entries []*appendEntry, unclear bool) {
	resp, err := etcd.Write(ctx, func(ctx context.Context, again bool) (*clientv3.TxnResponse, error) {
		unclear = unclear || again
		if entries = l.commits.awaited(entries); len(entries) == 0 {
			return nil, errAbandoned
		}
		resp, err := l.kv.Txn(ctx).Then(createOps(entries, unclear)...).Commit()
		if err != nil {
			l.commits.noteTrouble(entries, err)
		}
		return resp, err
	})
	switch {
	case err == nil:
		if err := l.reportCreated(resp, entries); err != nil {
			l.commits.fail(entries, err)
		}
	case errors.Is(err, rpctypes.ErrNoSpace):
		l.commits.fail(entries, fmt.Errorf("%w: %w", ErrNoSpace, err))
	case tooLarge(err) && len(entries) > 1:
		half := len(entries) / 2
		l.createEvents(ctx, entries[:half], unclear)
		l.createEvents(ctx, entries[half:], unclear)
	case tooLarge(err):
		e := entries[0].sent
		l.commits.fail(entries, &TooLargeError{Host: e.host, Key: e.key, Bytes: e.size()})
	default:
		l.commits.fail(entries, l.cfg.ExplainRefusal(err))
	}
}

// createOps returns one nested transaction per entry: it puts the event unless its key exists, and otherwise reads
// the key for its revision. If an earlier attempt may have put the event, it reads the value too, to see
// whether this Append wrote it.
func createOps(entries []*appendEntry, unclear bool) []clientv3.Op {
	ops := make([]clientv3.Op, len(entries))
	for i, entry := range entries {
		e := entry.sent
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

// reportCreated reports the outcomes in the answer to createOps.
func (l *Log) reportCreated(resp *clientv3.TxnResponse, entries []*appendEntry) error {
	if err := l.checkHeader(resp.Header); err != nil {
		return err
	}
	if len(resp.Responses) != len(entries) {
		return fmt.Errorf("etcd answered %d of %d creations", len(resp.Responses), len(entries))
	}
	for i, entry := range entries {
		one := resp.Responses[i].GetResponseTxn()
		if one.GetSucceeded() {
			for _, e := range entry.events {
				l.commits.report(e, Appended{Created: e == entry.sent, Revision: l.revisionAt(resp.Header.Revision), Key: e.key})
			}
			continue
		}
		there, err := onlyKey(one)
		if err != nil {
			return fmt.Errorf("asking since when event %s is in the log: %w", entry.sent.key, err)
		}
		found := false
		for _, e := range entry.events {
			ours := !found && len(there.Value) > 0 && string(there.Value) == e.value
			found = found || ours
			l.commits.report(e, Appended{Created: ours, Revision: l.revisionAt(there.CreateRevision), Key: e.key})
		}
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
