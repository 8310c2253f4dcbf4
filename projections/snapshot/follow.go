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
	// resyncInterval is the time that a small range is watched before it is listed again: readers of retries see
	// unanswered requests again, and no missed change stays hidden for longer.
	resyncInterval = 30 * time.Second
	// relistPause is the shortest pause between two lists.
	relistPause = 10 * time.Millisecond
)

// errReaderDone ends a watch whose reader has stopped.
var errReaderDone = errors.New("the reader wants no more")

// followRange reports a small range of keys to handle: first all of its keys as puts, then every change, and all keys
// again whenever the range is listed again. It ends when handle returns false, when ctx ends, or with an error that
// waiting does not mend.
func (s *Store) followRange(ctx context.Context, keys etcd.Range, handle func([]*clientv3.Event) (bool, error)) error {
	deliver := func(events []*clientv3.Event) error {
		goOn, err := handle(events)
		if err == nil && !goOn {
			return errReaderDone
		}
		return err
	}
	for {
		watched, err := s.listAndWatch(ctx, keys, deliver)
		if errors.Is(err, errReaderDone) {
			return nil
		}
		if err != nil {
			return err
		}
		if watched != nil {
			s.lg.Debug("watch ended; listing again", "from", keys.From, "err", watched)
		}
		if !wait.Sleep(ctx, relistPause+rand.N(5*relistPause)) {
			return context.Cause(ctx)
		}
	}
}

// listAndWatch lists, then watches for resyncInterval or until the watch ends with the error watched. err comes from
// the list or from deliver.
func (s *Store) listAndWatch(ctx context.Context, keys etcd.Range, deliver func([]*clientv3.Event) error) (watched, err error) {
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
	ctx, cancel := context.WithTimeout(ctx, resyncInterval)
	defer cancel()
	watch := etcd.Watch{
		NewWatcher: s.newWatcher, Subject: "projections", Ranges: []etcd.Range{keys}, After: resp.Header.Revision, Silence: s.cfg.Silence(),
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
