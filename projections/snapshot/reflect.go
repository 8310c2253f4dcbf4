package snapshot

import (
	"context"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// resync is how long a small range is watched before it is listed again, so that a watch that went silent
// cannot mislead for longer.
const resync = 30 * time.Second

// reflect keeps its caller informed of a small range of keys: see gets all of its keys as puts, then every
// change, and all again whenever the watch had to be started anew. It ends when see returns false, when ctx
// ends, or with an error that waiting does not mend.
func (s *Store) reflect(ctx context.Context, from, end string, see func([]*clientv3.Event) (bool, error)) error {
	for {
		goOn, err := s.reflectOnce(ctx, from, end, see)
		if !goOn || err != nil {
			return err
		}
		if !sleep(ctx, minPause+rand.N(5*minPause)) {
			return context.Cause(ctx)
		}
	}
}

// reflectOnce lists, then watches for resync or until the watch ends. It is false when its caller has had
// enough.
func (s *Store) reflectOnce(ctx context.Context, from, end string, see func([]*clientv3.Event) (bool, error)) (bool, error) {
	resp, err := read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, from, clientv3.WithRange(end))
	})
	if err != nil {
		return false, err
	}
	all := make([]*clientv3.Event, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		all[i] = &clientv3.Event{Type: clientv3.EventTypePut, Kv: kv}
	}
	if goOn, err := see(all); !goOn || err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), resync)
	defer cancel()
	for resp := range s.watcher.Watch(ctx, from, clientv3.WithRange(end), clientv3.WithRev(resp.Header.Revision+1)) {
		if err := resp.Err(); err != nil {
			s.lg.Debug("watch ended; listing again", "from", from, "err", err)
			return true, nil
		}
		if goOn, err := see(resp.Events); !goOn || err != nil {
			return false, err
		}
	}
	return true, nil
}
