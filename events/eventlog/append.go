package eventlog

import (
	"context"
	"fmt"
	"runtime"
	"telemetry-pipeline/events"
	"time"

	"golang.org/x/sync/errgroup"
)

// The size of appending requests. etcd takes 128 operations and 1.5 MiB; small requests keep its
// write-ahead log, its memory and everybody else's latency small.
const (
	maxSending    = 16        // requests under way, of all Appends together
	maxTxnEvents  = 64        // events in one
	maxTxnBytes   = 256 << 10 // encoded events in one, unless a single one is larger
	maxTxnRecords = 500_000   // in one, as readers hold those of a revision together: constant readings take next to no bytes
	maxEventBytes = 1400 << 10
	encodeAhead   = 64 // events that are encoded side by side before they are sent
)

// Appended tells what became of one event of an Append.
type Appended struct {
	Created  bool // false: the log had it already
	Revision events.Revision
	Key      string
}

// Append makes events durable. A nil error means that every event is in etcd's quorum log; the result tells
// for each, in order, whether it was created or there before, and its revision (the one it was created at).
// An event that comes twice in evs was there before the second time.
//
// Events may be spread over several transactions (≤ 64 events, ≤ 256 KiB and ≤ 500,000 records each; a larger event goes
// alone, and above 1400 KiB it is a TooLargeError), several of which are under way at a time; each is all
// or nothing. An unclear answer is retried with the same keys until ctx ends; ErrNoSpace is final. After an
// error some events may be there, and appending them again does no harm.
//
// When an answer was lost and the retry finds an event in the log, it counts as created if the stored value
// is, byte for byte, what was sent: that holds its upload and the instant of this Append, so another
// sender's equal event is told apart.
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

// sendAll encodes and packs the events into requests, which g carries out: they fill out. Those whose key
// came before go to repeats, with the index of the first.
func (l *Log) sendAll(ctx context.Context, g *errgroup.Group, evs []events.Event, out []Appended, repeats map[int]int) error {
	now := events.TimestampOf(time.Now())
	seen := make(map[string]int, len(evs))
	var req request
	for start := 0; start < len(evs); start += encodeAhead {
		encoded, err := l.encode(evs[start:min(start+encodeAhead, len(evs))], now)
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
			if !req.takes(e) {
				if err := l.send(ctx, g, req, out); err != nil {
					return err
				}
				req = request{}
			}
			req.add(e)
		}
	}
	return l.send(ctx, g, req, out)
}

// encode gives the events' keys and values, made side by side on all processors.
func (l *Log) encode(evs []events.Event, now events.Timestamp) ([]outgoing, error) {
	out := make([]outgoing, len(evs))
	var g errgroup.Group
	workers := min(runtime.GOMAXPROCS(0), len(evs))
	for w := range workers {
		g.Go(func() error {
			for i := w; i < len(evs); i += workers {
				var err error
				if out[i], err = l.outgoing(&evs[i], now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return out, g.Wait()
}

// outgoing encodes one event as it goes into the log.
func (l *Log) outgoing(e *events.Event, now events.Timestamp) (outgoing, error) {
	stamped := *e
	stamped.AppendedAt = now
	value, err := l.codec.Encode(nil, &stamped)
	if err != nil {
		return outgoing{}, fmt.Errorf("encoding an event of host %q: %w", e.Host, err)
	}
	key := l.cfg.Root + "/" + events.EventKey(l.cfg.ClusterID, l.facts.Partitions, &stamped).String()
	if size := len(key) + len(value); size > maxEventBytes {
		return outgoing{}, &TooLargeError{Host: e.Host, Key: key, Bytes: size, Limit: maxEventBytes}
	}
	return outgoing{host: e.Host, key: key, value: string(value), count: e.Records()}, nil
}

// send starts a request as soon as fewer than maxSending are under way.
func (l *Log) send(ctx context.Context, g *errgroup.Group, req request, out []Appended) error {
	if len(req.events) == 0 {
		return nil
	}
	select {
	case l.sending <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	g.Go(func() error {
		defer func() { <-l.sending }()
		return l.create(ctx, req.events, false, out)
	})
	return nil
}
