package etcd

import (
	"math/rand/v2"
	"time"
)

// Silence says how long a watch may hear nothing. After Ask, and up to as much again so that not all watches ask at
// once, it asks etcd for its progress; after Again it is replaced by a new one; after Lost it is given up.
//
// A replacement helps against a member of etcd that stopped answering, which gRPC finds out much later, and against a
// connection that came back: etcd's client resumes a watch after the last progress it heard of, which lies in the future
// of a quiet etcd, and etcd sends no progress to such a watch.
type Silence struct{ Ask, Again, Lost time.Duration }

// SilenceAfter returns the policy of all watches, from the time after which a quiet one asks for progress.
func SilenceAfter(ask time.Duration) Silence {
	return Silence{Ask: ask, Again: 3 * ask, Lost: max(10*ask, 20*time.Second)}
}

// beginTimeout bounds the first attempt to begin a watch. Every further attempt may take twice as long, so that a slow etcd
// is in time too.
func (s Silence) beginTimeout() time.Duration { return max(s.Ask, time.Second) }

// checkPause returns how long to wait for a response to a watch that has been quiet for a time.
func (s Silence) checkPause(quiet time.Duration, progressed bool) time.Duration {
	if progressed && quiet >= s.Ask && quiet < s.Again {
		return s.Again - quiet
	}
	return s.Ask + rand.N(s.Ask)
}
