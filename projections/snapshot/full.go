package snapshot

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"telemetry-pipeline/events/eventlog"
)

// spaceState is a store's knowledge of etcd's free space, from the outcomes of its writes. The zero value knows of no
// shortage.
type spaceState struct {
	refusedAt atomic.Int64 // when etcd last refused a write for lack of space, in Unix nanoseconds; 0 after a successful write
}

// refusalTTL is the time that one refusal stays valid. A write that waits for space retries more often.
const refusalTTL = 5 * time.Second

// Writable returns nil unless etcd refuses this store's writes because it is out of space. The writes wait, and
// continue by themselves when there is space again.
func (s *Store) Writable() error {
	at := s.space.refusedAt.Load()
	if at == 0 || time.Since(time.Unix(0, at)) > refusalTTL {
		return nil
	}
	return errNoSpace
}

var errNoSpace = fmt.Errorf("projections are not written: %w", eventlog.ErrNoSpace)

// noteWrite records the outcome of a write. It logs once when etcd fills up and once when it accepts writes again.
func (s *Store) noteWrite(err error) {
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
