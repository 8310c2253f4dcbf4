package snapshot

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/events/wait"
)

const (
	// resync is how long a small range is watched before it is listed again: readers of retries get those that are
	// still there again, and nothing that a watch may have missed misleads for longer.
	resync = 30 * time.Second
	// relist is the least pause between two lists.
	relist = 10 * time.Millisecond
)

// errEnough ends a watch whose reader wants no more.
var errEnough = errors.New("the reader wants no more")

// reflect keeps its caller informed of a small range of keys: see gets all of its keys as puts, then every
// change, and all again whenever the range is listed again. It ends when see returns false, when ctx
// ends, or with an error that waiting does not mend.
func (s *Store) reflect(ctx context.Context, keys etcd.Range, see func([]*clientv3.Event) (bool, error)) error {
	deliver := func(events []*clientv3.Event) error {
		goOn, err := see(events)
		if err == nil && !goOn {
			return errEnough
		}
		return err
	}
	for {
		watched, err := s.reflectOnce(ctx, keys, deliver)
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
		if watched != nil {
			s.lg.Debug("watch ended; listing again", "from", keys.From, "err", watched)
		}
		if !wait.Sleep(ctx, relist+rand.N(5*relist)) {
			return context.Cause(ctx)
		}
	}
}

// reflectOnce lists, then watches for resync or until the watch ends with the error watched. err comes from the list or
// from deliver.
func (s *Store) reflectOnce(ctx context.Context, keys etcd.Range, deliver func([]*clientv3.Event) error) (watched, err error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, keys.From, clientv3.WithRange(keys.End))
	})
	if err != nil {
		return nil, err
	}
	all := make([]*clientv3.Event, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		all[i] = &clientv3.Event{Type: clientv3.EventTypePut, Kv: kv}
	}
	if err := deliver(all); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, resync)
	defer cancel()
	watch := etcd.Watch{
		Client: s.watcher, Subject: "projections", Ranges: []etcd.Range{keys}, After: resp.Header.Revision, Silence: s.cfg.Silence(),
	}
	watched = watch.Run(ctx, func(r etcd.Response) error {
		if len(r.Events) > 0 {
			err = deliver(r.Events)
		}
		return err
	})
	if err != nil || ctx.Err() != nil {
		return nil, err
	}
	return watched, nil
}
