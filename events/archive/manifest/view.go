package manifest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
)

// resync is how long the manifest is watched before it is read anew, so that a watch that went silent cannot mislead for
// longer.
const resync = time.Minute

// View is the manifest of all partitions in memory, for readers: Run keeps it current. Safe for concurrent use.
//
// It may be behind by the time that a watch takes. What a reader needs is there in time nevertheless, as long as it waits
// for less than a collector's grace: an owner deletes what the manifest says is archived, and removes replaced objects, only
// some seconds after it was written. A reader that meets archive.ErrMissing calls Refresh and asks again.
type View struct {
	manifest *Manifest

	mu       sync.RWMutex
	all      map[events.Partition]*Partition // nil: nothing read yet; what is in it is not changed any more
	revision int64
}

// NewView makes a view; it knows nothing before Run or Refresh.
func NewView(m *Manifest) *View { return &View{manifest: m} }

var errUnread = errors.New("the archive's manifest is not read yet")

// Ready is nil once the manifest was read.
func (v *View) Ready() error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.all == nil {
		return errUnread
	}
	return nil
}

// Partition gives what is known of a partition. It is shared: the caller changes nothing of it.
func (v *View) Partition(p events.Partition) Partition {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if one := v.all[p]; one != nil {
		return *one
	}
	return Partition{ID: p}
}

// Overlapping gives the entries of a partition that can have records with from ≤ time < to, in order of revisions.
func (v *View) Overlapping(p events.Partition, from, to events.Timestamp) []archive.Entry {
	one := v.Partition(p)
	return one.Overlapping(from, to)
}

// Revision is the revision of etcd that the view is as of, at least.
func (v *View) Revision() int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.revision
}

// Refresh reads the manifest now.
func (v *View) Refresh(ctx context.Context) error {
	all, rev, err := v.manifest.loadAll(ctx)
	if err != nil {
		return err
	}
	v.set(all, rev)
	return nil
}

// set takes in what was read, unless something newer is known.
func (v *View) set(all map[events.Partition]*Partition, rev int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all == nil || rev >= v.revision {
		v.all, v.revision = all, rev
	}
}

// Run keeps the view current until ctx ends. While etcd cannot be asked, or says what cannot be read, the view stays as it
// is.
func (v *View) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := v.follow(ctx); err != nil && ctx.Err() == nil {
			v.manifest.lg.Warn("the archive's manifest is not followed; trying again", "err", err, "again_in", maxPause)
			sleep(ctx, maxPause)
		}
	}
	return nil
}

// follow reads the manifest and watches it for resync.
func (v *View) follow(ctx context.Context) error {
	if err := v.Refresh(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), resync)
	defer cancel()
	m := v.manifest
	for resp := range m.watcher.Watch(ctx, m.keys.all(), clientv3.WithPrefix(), clientv3.WithRev(v.Revision()+1)) {
		if err := resp.Err(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("watching the archive's manifest: %w", err)
		}
		if err := v.apply(resp.Events, resp.Header.Revision); err != nil {
			return err
		}
	}
	return nil
}

// apply takes in the changes of whole transactions.
func (v *View) apply(changes []*clientv3.Event, rev int64) error {
	v.mu.RLock()
	all, known := maps.Clone(v.all), v.revision
	v.mu.RUnlock()
	touched := map[events.Partition]*Partition{}
	for _, c := range changes {
		if c.Kv.ModRevision <= known { // Refresh was faster
			continue
		}
		id, rest, err := v.manifest.keys.parse(string(c.Kv.Key))
		if err != nil {
			return err
		}
		p := touched[id]
		if p == nil {
			p = &Partition{ID: id}
			if all[id] != nil {
				*p = *all[id]
				p.Entries, p.Replaced = slices.Clone(p.Entries), slices.Clone(p.Replaced)
			}
			touched[id], all[id] = p, p
		}
		if err := v.manifest.takeChange(p, rest, c.Type == clientv3.EventTypeDelete, c.Kv); err != nil {
			return err
		}
	}
	for _, p := range touched {
		if err := v.manifest.finish(p); err != nil {
			return err
		}
	}
	v.set(all, rev)
	return nil
}

// takeChange takes in one changed key of a partition.
func (m *Manifest) takeChange(p *Partition, rest string, deleted bool, kv *mvccpb.KeyValue) error {
	key := string(kv.Key)
	switch {
	case rest == headName:
		p.Head, p.headRevision = Head{}, 0
	case strings.HasPrefix(rest, replacedName):
		p.Replaced = slices.DeleteFunc(p.Replaced, func(r Replaced) bool { return r.key == key })
	default:
		p.Entries = slices.DeleteFunc(p.Entries, func(e Listed) bool { return m.keys.entry(&e.Entry) == key })
	}
	if deleted {
		return nil
	}
	return m.take(p, rest, kv)
}
