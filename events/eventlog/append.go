package eventlog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/trace"
)

const (
	maxEventBytes = 1400 << 10
	encodeBatch   = 64 // events that are encoded in parallel before they are sent
	encodeAlone   = 4  // most events that are encoded without further goroutines

	maxReusedValue = 64 << 10 // longest value whose memory the next one uses
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
// is sent alone, and one above 1400 KiB returns a TooLargeError), and Appends that run side by side share
// transactions. Several transactions are in flight at a time; each is all or nothing. An unclear answer is retried with
// the same keys until ctx ends; ErrNoSpace is final. After an error some events may be stored, even a moment after
// Append returned, and appending them again does no harm. If ctx has ended before, none is.
//
// When an answer was lost and the retry finds an event in the log, the event counts as created if the stored value
// equals the sent one byte for byte. The value holds the upload and the instant of this Append, which distinguishes
// it from another sender's equal event.
//
// In a sampled trace an Append is a step of it, and the events are stored with its trace context. That is not part of their content:
// equal events of another trace are in the log already, with the context of the first.
//
// Append does not keep the events.
func (l *Log) Append(ctx context.Context, evs []events.Event) (out []Appended, err error) {
	if len(evs) == 0 {
		return []Appended{}, nil
	}
	ctx, span := trace.StartChild(ctx, "append")
	span.SetCount("telemetry.events", len(evs))
	defer func() { span.End(err) }()
	a := newAppend(len(evs))
	defer l.commits.leave(a)
	repeats, err := l.sendAll(ctx, a, evs)
	if err == nil {
		err = l.commits.await(ctx, a)
	}
	if err != nil {
		return nil, fmt.Errorf("appending %d events (some may be in the log; append them again): %w", len(evs), err)
	}
	for i, first := range repeats {
		a.out[i] = Appended{Revision: a.out[first].Revision, Key: a.out[first].Key}
	}
	return a.out, nil
}

// sendAll encodes the events and hands them to the committer. It returns the repeated keys, with the index of the first
// event of each.
func (l *Log) sendAll(ctx context.Context, a *appending, evs []events.Event) (repeats map[int]int, err error) {
	now, from := events.TimestampOf(time.Now()), trace.ContextOf(ctx)
	seen := make(map[string]int, len(evs))
	for start := 0; start < len(evs); start += encodeBatch {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		encoded, err := l.encodeEvents(evs[start:min(start+encodeBatch, len(evs))], now, from)
		if err != nil {
			return nil, err
		}
		fresh := make([]*outgoingEvent, 0, len(encoded))
		for i := range encoded {
			e := &encoded[i]
			e.of, e.index = a, start+i
			if first, found := seen[e.key]; found {
				if repeats == nil {
					repeats = map[int]int{}
				}
				repeats[e.index] = first
				continue
			}
			seen[e.key] = e.index
			fresh = append(fresh, e)
		}
		if err := l.commits.send(ctx, a, fresh); err != nil {
			return nil, err
		}
	}
	l.commits.complete(a)
	return repeats, nil
}

// encodeEvents returns the keys and values of events, encoded in parallel on all processors if there are many.
func (l *Log) encodeEvents(evs []events.Event, now events.Timestamp, from events.TraceContext) ([]outgoingEvent, error) {
	out := make([]outgoingEvent, len(evs))
	encode := func(first, step int) error {
		for i := first; i < len(evs); i += step {
			var err error
			if out[i], err = l.encodeEvent(&evs[i], now, from); err != nil {
				return err
			}
		}
		return nil
	}
	workers := runtime.GOMAXPROCS(0)
	if len(evs) <= encodeAlone || workers == 1 {
		return out, encode(0, 1)
	}
	var g errgroup.Group
	for w := range min(workers, len(evs)) {
		g.Go(func() error { return encode(w, min(workers, len(evs))) })
	}
	return out, g.Wait()
}

// encodeEvent returns the stored form of one event. An event that is too large with a trace context is stored without it.
func (l *Log) encodeEvent(e *events.Event, now events.Timestamp, from events.TraceContext) (outgoingEvent, error) {
	out, err := l.encodeStamped(e, now, from)
	if _, tooLarge := errors.AsType[*TooLargeError](err); tooLarge && !from.IsZero() {
		return l.encodeStamped(e, now, events.TraceContext{})
	}
	return out, err
}

func (l *Log) encodeStamped(e *events.Event, now events.Timestamp, from events.TraceContext) (outgoingEvent, error) {
	stamped := *e
	stamped.AppendedAt, stamped.Trace = now, from
	buf, ok := l.values.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	defer l.values.Put(buf)
	value, err := l.codec.Encode((*buf)[:0], &stamped)
	if cap(value) <= maxReusedValue {
		*buf = value
	}
	if err != nil {
		return outgoingEvent{}, fmt.Errorf("encoding an event of host %q: %w", e.Host, err)
	}
	key := l.cfg.Root + "/" + events.EventKey(l.cfg.ClusterID, l.facts.Partitions, &stamped).String()
	if size := len(key) + len(value); size > maxEventBytes {
		return outgoingEvent{}, &TooLargeError{Host: e.Host, Key: key, Bytes: size, Limit: maxEventBytes}
	}
	return outgoingEvent{host: e.Host, key: key, value: string(value), count: e.Records()}, nil
}
