package partition

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// settling tells which members count when partitions are given away: those of the first view at once, later
// ones when no further member has joined for the debounce, at the latest after four times of it. Who leaves
// stops counting at once.
type settling struct {
	debounce time.Duration
	seen     map[string]bool // true: counts
	first    time.Time       // oldest join that does not count yet
	at       time.Time       // when the joins count; zero when there are none
}

// see takes in the members of a view.
func (s *settling) see(now time.Time, members map[string]clientv3.LeaseID) {
	s.settle(now)
	initial := s.seen == nil
	if initial {
		s.seen = make(map[string]bool)
	}
	for m := range s.seen {
		if _, there := members[m]; !there {
			delete(s.seen, m)
		}
	}
	for m := range members {
		if _, known := s.seen[m]; known {
			continue
		}
		s.seen[m] = initial
		if !initial {
			s.joined(now)
		}
	}
}

func (s *settling) joined(now time.Time) {
	if s.at.IsZero() {
		s.first = now
	}
	s.at = now.Add(s.debounce)
	if latest := s.first.Add(4 * s.debounce); s.at.After(latest) {
		s.at = latest
	}
}

// settle lets the joins count when their time has come.
func (s *settling) settle(now time.Time) {
	if s.at.IsZero() || now.Before(s.at) {
		return
	}
	s.at = time.Time{}
	for m := range s.seen {
		s.seen[m] = true
	}
}

// members gives who counts at now, always with self.
func (s *settling) members(now time.Time, self string) []string {
	s.settle(now)
	counting := []string{self}
	for m, counts := range s.seen {
		if counts && m != self {
			counting = append(counting, m)
		}
	}
	return counting
}
