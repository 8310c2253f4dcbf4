package partition

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// joinDebounce decides which members count when partitions are moved: members of the first view at once, later ones
// when no further member has joined for the debounce, at most four times as long. A member that leaves stops counting
// at once.
type joinDebounce struct {
	debounce  time.Duration
	counted   map[string]bool // true: counts
	firstJoin time.Time       // oldest join that does not count yet
	countAt   time.Time       // when the joins count; zero when there are none
}

// setMembers updates the members from a view.
func (s *joinDebounce) setMembers(now time.Time, members map[string]clientv3.LeaseID) {
	s.countJoins(now)
	initial := s.counted == nil
	if initial {
		s.counted = make(map[string]bool)
	}
	for m := range s.counted {
		if _, there := members[m]; !there {
			delete(s.counted, m)
		}
	}
	for m := range members {
		if _, known := s.counted[m]; known {
			continue
		}
		s.counted[m] = initial
		if !initial {
			s.addJoin(now)
		}
	}
}

func (s *joinDebounce) addJoin(now time.Time) {
	if s.countAt.IsZero() {
		s.firstJoin = now
	}
	s.countAt = now.Add(s.debounce)
	if latest := s.firstJoin.Add(4 * s.debounce); s.countAt.After(latest) {
		s.countAt = latest
	}
}

// countJoins makes joins count once countAt has passed.
func (s *joinDebounce) countJoins(now time.Time) {
	if s.countAt.IsZero() || now.Before(s.countAt) {
		return
	}
	s.countAt = time.Time{}
	for m := range s.counted {
		s.counted[m] = true
	}
}

// countedMembers returns the members that count at now, always with self.
func (s *joinDebounce) countedMembers(now time.Time, self string) []string {
	s.countJoins(now)
	counting := []string{self}
	for m, counts := range s.counted {
		if counts && m != self {
			counting = append(counting, m)
		}
	}
	return counting
}
