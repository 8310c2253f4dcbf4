package partition

import (
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestJoinDebounce(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	seen := func(names ...string) map[string]clientv3.LeaseID {
		members := make(map[string]clientv3.LeaseID)
		for _, n := range names {
			members[n] = 1
		}
		return members
	}
	s := joinDebounce{debounce: 2 * time.Second}
	check := func(seconds float64, want ...string) {
		t.Helper()
		got := s.countedMembers(at(seconds), "a")
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("at %vs: got %v counting, want %v", seconds, got, want)
		}
	}
	check(0, "a")
	s.setMembers(at(0), seen("a", "b"))
	check(0, "a", "b") // members of the first view count at once
	s.setMembers(at(1), seen("a", "b", "c"))
	check(2.9, "a", "b")
	s.setMembers(at(2.9), seen("a", "b", "c", "d")) // another join makes both wait
	check(3.1, "a", "b")
	check(4.9, "a", "b", "c", "d")
	s.setMembers(at(5), seen("a", "c", "d"))
	check(5, "a", "c", "d") // a member that leaves stops counting at once
	for i := range 10 {     // endless joins count at last
		names := []string{"a", "c", "d"}
		for j := range i + 1 {
			names = append(names, string(rune('e'+j)))
		}
		s.setMembers(at(10+float64(i)), seen(names...))
	}
	if got := s.countedMembers(at(18.5), "a"); len(got) < 4 {
		t.Errorf("got only %v counting though members have been joining for longer than four debounces", got)
	}
}
