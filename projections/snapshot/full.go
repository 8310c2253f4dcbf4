package snapshot

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"telemetry-pipeline/events/eventlog"
)

// fullness is what a store knows of etcd's space, from what became of its writes. The zero value knows of
// no trouble.
type fullness struct {
	refusedAt atomic.Int64 // when etcd last refused a write for want of space, in Unix nanoseconds; 0 after one that it took
}

// refusalHolds is how long one refusal tells of etcd. A write that waits for space asks more often than that.
const refusalHolds = 5 * time.Second

// Writable is nil unless etcd refuses this store's writes because it is out of space. They wait, and go on by
// themselves when there is space again.
func (s *Store) Writable() error {
	at := s.space.refusedAt.Load()
	if at == 0 || time.Since(time.Unix(0, at)) > refusalHolds {
		return nil
	}
	return errFull
}

var errFull = fmt.Errorf("projections are not written: %w", eventlog.ErrNoSpace)

// note takes in what became of a write, and says once when etcd fills up and once when it takes writes again.
func (s *Store) note(err error) {
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		if s.space.refusedAt.Swap(time.Now().UnixNano()) == 0 {
			s.lg.Warn("etcd is out of space: projections wait until it is freed, as docs/runbooks/etcd-full.md says", "err", err)
		}
	case err == nil:
		if s.space.refusedAt.Swap(0) != 0 {
			s.lg.Info("etcd takes projections again")
		}
	}
}
