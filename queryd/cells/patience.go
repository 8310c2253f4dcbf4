package cells

import (
	"context"
	"errors"
	"time"

	"telemetry-pipeline/queryd/live"
)

// ErrSilent ends a read of a cluster whose etcd is not heard, so that an answer over several clusters does not wait for it.
var ErrSilent = errors.New("etcd of the cluster is not heard")

// silence is the age of a view from which its etcd counts as silent: a view is confirmed every two seconds. The view itself is called
// behind later (live.Feed.IsBehind), when its watch has ended.
const silence = 6 * time.Second

// looks is the pause between two looks at the age.
const looks = 500 * time.Millisecond

// isSilent reports whether the etcd behind a feed is not heard.
func isSilent(feed *live.Feed) bool {
	return feed.IsBehind() || time.Since(feed.State().AsOf()) > silence
}

// WithPatience returns a context for a read of a cluster. It ends with ErrSilent when the cluster's etcd was silent throughout the
// given time, or soon if it was silent before the read.
func WithPatience(ctx context.Context, feed *live.Feed, patience time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	look := time.NewTicker(min(looks, patience))
	heard := time.Now()
	if isSilent(feed) {
		heard = heard.Add(looks - patience)
	}
	go func() {
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-look.C:
				if !isSilent(feed) {
					heard = now
				} else if now.Sub(heard) >= patience {
					cancel(ErrSilent)
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
