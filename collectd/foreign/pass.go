package foreign

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// listed is how many keys are listed at a time, taken how many bytes of values are decoded and appended together, save
// that a single value may be larger.
const (
	listed = 256
	taken  = 512 << 10
)

// tenure is one Run. Its goroutine alone uses it.
type tenure struct {
	*Taker
	guard clientv3.Cmp
	left  map[string]events.Revision // keys that cannot be moved, as they were when that was found out
	still map[string]events.Revision // those of them that this pass has met
}

// maxLeft bounds how many of them are remembered; the others are looked at again in each pass.
const maxLeft = 10_000

// leave remembers a key that stays.
func (t *tenure) leave(r events.Ref) {
	if len(t.still) < maxLeft {
		t.still[r.Key] = r.Revision
	}
}

// pass takes all there is, in order of key. Keys that come behind it are the next pass's.
func (t *tenure) pass(ctx context.Context) error {
	after, more := "", true
	t.still = map[string]events.Revision{}
	for more {
		var refs []events.Ref
		var waiting int64
		var err error
		if refs, waiting, more, err = t.log.Foreign(ctx, after, listed); err != nil {
			return err
		}
		t.counts.change(func(s *Status) { s.Waiting = waiting })
		if len(refs) == 0 {
			break
		}
		after = refs[len(refs)-1].Key
		for page, err := range t.log.FetchForeign(ctx, t.without(refs)) {
			if err != nil {
				return err
			}
			if err := t.takeAll(ctx, page); err != nil {
				return err
			}
		}
	}
	t.left = t.still
	t.counts.change(func(s *Status) {
		s.Waiting, s.Left = int64(len(t.left)), int64(len(t.left))
		s.Error, s.ErrorAt = "", nil
	})
	return nil
}

// without leaves out the keys that are known to stay.
func (t *tenure) without(refs []events.Ref) []events.Ref {
	rest := refs[:0]
	for _, r := range refs {
		if t.left[r.Key] == r.Revision {
			t.leave(r)
			continue
		}
		rest = append(rest, r)
	}
	return rest
}

// takeAll takes a page in pieces of about taken bytes.
func (t *tenure) takeAll(ctx context.Context, page []eventlog.Foreign) error {
	for len(page) > 0 {
		n, size := 1, len(page[0].Value)
		for n < len(page) && size+len(page[n].Value) <= taken {
			size += len(page[n].Value)
			n++
		}
		if err := t.take(ctx, page[:n]); err != nil {
			return err
		}
		page = page[n:]
	}
	return nil
}

// take appends what values hold, and then removes their keys or sets them aside.
func (t *tenure) take(ctx context.Context, page []eventlog.Foreign) error {
	now := time.Now()
	values := make([]decoded, len(page))
	var evs []events.Event
	for i, f := range page {
		values[i] = decode(f, t.log.Facts().Cut, now)
		evs = append(evs, values[i].events...)
	}
	err := t.append(ctx, evs)
	if isLarge(err) {
		for i := range values {
			if err := t.appendEach(ctx, &values[i]); err != nil {
				return err
			}
		}
	} else if err != nil {
		return err
	}
	return t.clear(ctx, page, values)
}

// appendEach appends the events of a value one by one, since one of them may be too large.
func (t *tenure) appendEach(ctx context.Context, d *decoded) error {
	for i := range d.events {
		err := t.append(ctx, d.events[i:i+1])
		if isLarge(err) {
			d.fault(err.Error())
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

func (t *tenure) append(ctx context.Context, evs []events.Event) error {
	appended, err := t.log.Append(ctx, evs)
	if err == nil {
		t.count(evs, appended)
	}
	return err
}

func (t *tenure) count(evs []events.Event, appended []eventlog.Appended) {
	t.counts.change(func(s *Status) {
		for i, a := range appended {
			if a.Created {
				s.Records += int64(evs[i].Records())
			} else {
				s.Repeated++
			}
		}
	})
}

// clear removes the keys of values that are in the log, and sets aside those of which not everything is.
func (t *tenure) clear(ctx context.Context, page []eventlog.Foreign, values []decoded) error {
	var done []events.Ref
	for i := range page {
		if values[i].faults == 0 {
			done = append(done, page[i].Ref)
		}
	}
	n, err := t.log.Remove(ctx, done, func(ctx context.Context) bool { return ctx.Err() == nil }, t.guard)
	t.counts.change(func(s *Status) { s.Taken += int64(n) })
	if err != nil {
		return err
	}
	for i := range page {
		if values[i].faults > 0 {
			if err := t.setAside(ctx, page[i], &values[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tenure) setAside(ctx context.Context, f eventlog.Foreign, d *decoded) error {
	n := parseName(f.Name, time.Time{})
	at, host := n.place()
	lg := t.lg.With("key", f.Key, "reason", d.reason())
	if d.stack != nil {
		lg = lg.With("stack", string(d.stack))
	}
	err := t.log.MoveToDeadLetters(ctx, f, at, host, d.reason(), t.guard)
	if isLarge(err) {
		t.leave(f.Ref)
		lg.Error("what a foreign producer wrote cannot be used, and stays where it is, too large to be moved; remove it", "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	lg.Warn("what a foreign producer wrote cannot be used, wholly or in part; it went to the quarantine")
	t.counts.change(func(s *Status) {
		s.Taken++
		s.SetAside++
	})
	return nil
}
