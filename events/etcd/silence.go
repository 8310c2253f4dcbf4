package etcd

import (
	"math/rand/v2"
	"time"
)

// Silence is the policy for a watch without responses. After Ask, plus a random time up to Ask so that not all
// watches ask at once, the watch requests progress from etcd; after Again it is replaced; after Lost it fails.
//
// A replacement helps against an etcd member that stopped answering, which gRPC detects much later. It also helps
// after a reconnection: etcd's client resumes a watch after the last reported progress, which lies in the future of a
// quiet etcd, and etcd sends no progress to such a watch.
type Silence struct{ Ask, Again, Lost time.Duration }

// SilenceAfter returns the policy of all watches. A quiet watch requests progress after ask.
func SilenceAfter(ask time.Duration) Silence {
	return Silence{Ask: ask, Again: 3 * ask, Lost: max(10*ask, 20*time.Second)}
}

// beginTimeout returns the timeout of the first attempt to begin a watch. It doubles with every attempt, so that a
// slow etcd is also in time.
func (s Silence) beginTimeout() time.Duration { return max(s.Ask, time.Second) }

// checkPause returns the time until the next check of a watch that has been quiet for the given time.
func (s Silence) checkPause(quiet time.Duration, progressed bool) time.Duration {
	if progressed && quiet >= s.Ask && quiet < s.Again {
		return s.Again - quiet
	}
	return s.Ask + rand.N(s.Ask)
}
