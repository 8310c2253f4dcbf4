package collect

import "sync"

// waitingRecords counts the records of this process that are folded and not stored. Safe for concurrent use.
type waitingRecords struct {
	mu     sync.Mutex
	states map[*state]bool
}

func newWaitingRecords() *waitingRecords { return &waitingRecords{states: map[*state]bool{}} }

// addState counts the records of a state until the returned function is called.
func (w *waitingRecords) addState(s *state) (remove func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states[s] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.states, s)
	}
}

// count returns the number of records.
func (w *waitingRecords) count() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for s := range w.states {
		n += s.unstoredRecords()
	}
	return float64(n)
}

// unstoredRecords returns the number of records that are in no stored chunk, with the entries of the quarantine that are not stored.
func (s *state) unstoredRecords() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records
}
