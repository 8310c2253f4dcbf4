package simulation

import (
	"fmt"
	"strings"
	"sync/atomic"
)

// seen is something that schedules are for.
type seen int

const (
	acked     seen = iota // events acknowledged
	lost                  // claims that ended because they were lost
	fenced                // writes refused because the claim was another's
	resumed               // subscriptions that went on from a token
	reset                 // those that could not
	slow                  // subscribers that were too slow
	updated               // updates that subscribers received
	rebuilt               // generations that were made and became active
	often                 // the steps above happen in any few hundred schedules
	stale                 // writes refused because another came first
	restarted             // partitions loaded again after an error
	kindsSeen
)

func (k seen) String() string {
	return [...]string{"acknowledged event", "lost claim", "fenced write", "resumed subscription", "reset", "slow subscriber", "update", "rebuild", "", "stale write", "reload"}[k]
}

// eventCounts are the numbers of events of each kind in all schedules. They show that the faults do happen.
type eventCounts [kindsSeen]atomic.Int64

func (w *world) count(k seen, n int) { w.seen[k].Add(int64(n)) }

func (t *eventCounts) String() string {
	var all []string
	for k := range kindsSeen {
		if k == often {
			continue
		}
		all = append(all, fmt.Sprintf("%ss: %d", k, t[k].Load()))
	}
	return strings.Join(all, ", ")
}
