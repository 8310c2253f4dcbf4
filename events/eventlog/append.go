package eventlog

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
)

// Sizes of appending requests. etcd accepts 128 operations and 1.5 MiB; small requests keep its write-ahead log, its
// memory and the latency of other requests small.
const (
	maxRequests   = 16        // requests in flight, of all Appends together
	maxTxnEvents  = 64        // events in one transaction
	maxTxnBytes   = 256 << 10 // encoded events in one transaction, unless a single event is larger
	maxTxnRecords = 500_000   // records in one: readers hold a revision in memory, and constant readings take almost no bytes
	maxEventBytes = 1400 << 10
	encodeBatch   = 64 // events that are encoded in parallel before they are sent
)

// Appended is the outcome of one event of an Append.
type Appended struct {
	Created  bool // false: the log already had it
	Revision events.Revision
	Key      string
}

// Append makes events durable. A nil error means that every event is in etcd's quorum log. The result lists for each
// event, in order, whether this call created it, and the revision it was created at. If evs holds an event twice, the
// second one counts as not created.
//
// Events may be spread over several transactions (≤ 64 events, ≤ 256 KiB and ≤ 500,000 records each; a larger event
// is sent alone, and one above 1400 KiB returns a TooLargeError). Several transactions are in flight at a time; each
// is all or nothing. An unclear answer is retried with the same keys until ctx ends; ErrNoSpace is final. After an
// error some events may be stored, and appending them again does no harm.
//
// When an answer was lost and the retry finds an event in the log, the event counts as created if the stored value
// equals the sent one byte for byte. The value holds the upload and the instant of this Append, which distinguishes
// it from another sender's equal event.
func (l *Log) Append(ctx context.Context, evs []events.Event) ([]Appended, error) {
	out := make([]Appended, len(evs))
	repeats := make(map[int]int)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return l.sendAll(gctx, g, evs, out, repeats) })
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("appending %d events (some may be in the log; append them again): %w", len(evs), err)
	}
	for i, first := range repeats {
		out[i] = Appended{Revision: out[first].Revision, Key: out[first].Key}
	}
	return out, nil
}

// sendAll encodes the events and packs them into requests, which run in g and fill out. It records repeated keys in
// repeats, with the index of the first event.
func (l *Log) sendAll(ctx context.Context, g *errgroup.Group, evs []events.Event, out []Appended, repeats map[int]int) error {
	now := events.TimestampOf(time.Now())
	seen := make(map[string]int, len(evs))
	var req appendRequest
	for start := 0; start < len(evs); start += encodeBatch {
		encoded, err := l.encodeEvents(evs[start:min(start+encodeBatch, len(evs))], now)
		if err != nil {
			return err
		}
		for i, e := range encoded {
			e.index = start + i
			if first, found := seen[e.key]; found {
				repeats[e.index] = first
				continue
			}
			seen[e.key] = e.index
			if !req.hasRoomFor(e) {
				if err := l.sendRequest(ctx, g, req, out); err != nil {
					return err
				}
				req = appendRequest{}
			}
			req.addEvent(e)
		}
	}
	return l.sendRequest(ctx, g, req, out)
}

// encodeEvents returns the keys and values of events, encoded in parallel on all processors.
func (l *Log) encodeEvents(evs []events.Event, now events.Timestamp) ([]outgoingEvent, error) {
	out := make([]outgoingEvent, len(evs))
	var g errgroup.Group
	workers := min(runtime.GOMAXPROCS(0), len(evs))
	for w := range workers {
		g.Go(func() error {
			for i := w; i < len(evs); i += workers {
				var err error
				if out[i], err = l.encodeEvent(&evs[i], now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return out, g.Wait()
}

// encodeEvent returns the stored form of one event.
func (l *Log) encodeEvent(e *events.Event, now events.Timestamp) (outgoingEvent, error) {
	stamped := *e
	stamped.AppendedAt = now
	value, err := l.codec.Encode(nil, &stamped)
	if err != nil {
		return outgoingEvent{}, fmt.Errorf("encoding an event of host %q: %w", e.Host, err)
	}
	key := l.cfg.Root + "/" + events.EventKey(l.cfg.ClusterID, l.facts.Partitions, &stamped).String()
	if size := len(key) + len(value); size > maxEventBytes {
		return outgoingEvent{}, &TooLargeError{Host: e.Host, Key: key, Bytes: size, Limit: maxEventBytes}
	}
	return outgoingEvent{host: e.Host, key: key, value: string(value), count: e.Records()}, nil
}

// sendRequest starts a request as soon as fewer than maxRequests are in flight.
func (l *Log) sendRequest(ctx context.Context, g *errgroup.Group, req appendRequest, out []Appended) error {
	if len(req.events) == 0 {
		return nil
	}
	select {
	case l.requests <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	g.Go(func() error {
		defer func() { <-l.requests }()
		return l.createEvents(ctx, req.events, false, out)
	})
	return nil
}
