package foreign

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// listPage is the number of keys listed at a time, batchBytes the bytes of values decoded and appended together; a
// single value may be larger.
const (
	listPage   = 256
	batchBytes = 512 << 10
)

// takerRun is one Run. Its goroutine alone uses it.
type takerRun struct {
	*Taker
	guard     clientv3.Cmp
	kept      map[string]events.Revision // keys that cannot be moved, at the revision at which that was found
	stillKept map[string]events.Revision // of these, the keys that this pass has met
}

// maxKept bounds the remembered keys; the others are looked at again in each pass.
const maxKept = 10_000

// keepKey remembers a key that stays.
func (t *takerRun) keepKey(r events.Ref) {
	if len(t.stillKept) < maxKept {
		t.stillKept[r.Key] = r.Revision
	}
}

// takeAllKeys takes all keys, in order. Keys that come behind its position are left to the next pass.
func (t *takerRun) takeAllKeys(ctx context.Context) error {
	after, more := "", true
	t.stillKept = map[string]events.Revision{}
	for more {
		var refs []events.Ref
		var waiting int64
		var err error
		if refs, waiting, more, err = t.log.Foreign(ctx, after, listPage); err != nil {
			return err
		}
		t.counts.updateStatus(func(s *Status) { s.Waiting = waiting })
		if len(refs) == 0 {
			break
		}
		after = refs[len(refs)-1].Key
		for page, err := range t.log.FetchForeign(ctx, t.withoutKept(refs)) {
			if err != nil {
				return err
			}
			if err := t.takePage(ctx, page); err != nil {
				return err
			}
		}
	}
	t.kept = t.stillKept
	t.counts.updateStatus(func(s *Status) {
		s.Waiting, s.Left = int64(len(t.kept)), int64(len(t.kept))
		s.Error, s.ErrorAt = "", nil
	})
	return nil
}

// withoutKept leaves out the keys that are known to stay.
func (t *takerRun) withoutKept(refs []events.Ref) []events.Ref {
	rest := refs[:0]
	for _, r := range refs {
		if t.kept[r.Key] == r.Revision {
			t.keepKey(r)
			continue
		}
		rest = append(rest, r)
	}
	return rest
}

// takePage takes a page in pieces of about batchBytes bytes.
func (t *takerRun) takePage(ctx context.Context, page []eventlog.Foreign) error {
	for len(page) > 0 {
		n, size := 1, len(page[0].Value)
		for n < len(page) && size+len(page[n].Value) <= batchBytes {
			size += len(page[n].Value)
			n++
		}
		if err := t.takeValues(ctx, page[:n]); err != nil {
			return err
		}
		page = page[n:]
	}
	return nil
}

// takeValues appends the events of values, and then removes their keys or moves them to the dead letters.
func (t *takerRun) takeValues(ctx context.Context, page []eventlog.Foreign) error {
	now := time.Now()
	values := make([]decoded, len(page))
	var evs []events.Event
	for i, f := range page {
		values[i] = decodeValue(f, t.log.Facts().Cut, now)
		evs = append(evs, values[i].events...)
	}
	err := t.appendEvents(ctx, evs)
	if isLarge(err) {
		for i := range values {
			if err := t.appendEach(ctx, &values[i]); err != nil {
				return err
			}
		}
	} else if err != nil {
		return err
	}
	return t.removeKeys(ctx, page, values)
}

// appendEach appends the events of a value one by one, since one of them may be too large.
func (t *takerRun) appendEach(ctx context.Context, d *decoded) error {
	for i := range d.events {
		err := t.appendEvents(ctx, d.events[i:i+1])
		if isLarge(err) {
			d.addFault(err.Error())
		} else if err != nil {
			return err
		}
	}
	return nil
}

func isLarge(err error) bool {
	_, large := errors.AsType[*eventlog.TooLargeError](err)
	return large
}

func (t *takerRun) appendEvents(ctx context.Context, evs []events.Event) error {
	appended, err := t.log.Append(ctx, evs)
	if err == nil {
		t.countAppended(evs, appended)
	}
	return err
}

func (t *takerRun) countAppended(evs []events.Event, appended []eventlog.Appended) {
	t.counts.updateStatus(func(s *Status) {
		for i, a := range appended {
			if a.Created {
				s.Records += int64(evs[i].Records())
			} else {
				s.Repeated++
			}
		}
	})
}

// removeKeys removes the keys of values that are in the log, and moves values with faults to the dead letters.
func (t *takerRun) removeKeys(ctx context.Context, page []eventlog.Foreign, values []decoded) error {
	var done []events.Ref
	for i := range page {
		if values[i].faults == 0 {
			done = append(done, page[i].Ref)
		}
	}
	n, err := t.log.Remove(ctx, done, func(ctx context.Context) bool { return ctx.Err() == nil }, t.guard)
	t.counts.updateStatus(func(s *Status) { s.Taken += int64(n) })
	if err != nil {
		return err
	}
	for i := range page {
		if values[i].faults > 0 {
			if err := t.moveToDeadLetters(ctx, page[i], &values[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *takerRun) moveToDeadLetters(ctx context.Context, f eventlog.Foreign, d *decoded) error {
	n := parseName(f.Name, time.Time{})
	at, host := n.deadLetterKey()
	lg := t.lg.With("key", f.Key, "reason", d.faultText())
	if d.stack != nil {
		lg = lg.With("stack", string(d.stack))
	}
	err := t.log.MoveToDeadLetters(ctx, f, at, host, d.faultText(), t.guard)
	if isLarge(err) {
		t.keepKey(f.Ref)
		lg.Error("a value of a foreign producer cannot be used, and stays where it is, too large to be moved; remove it", "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	lg.Warn("a value of a foreign producer cannot be used, wholly or in part; it went to the quarantine")
	t.counts.updateStatus(func(s *Status) {
		s.Taken++
		s.SetAside++
	})
	return nil
}
