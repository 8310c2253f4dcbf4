package dcgmdmon

// sample holds the entities of the current sample.
type sample struct {
	seen map[string]bool
	gpu  int // of the last row of a GPU itself
}

// maxSeen bounds a sample; a longer one forgets its entities.
const maxSeen = 1 << 16

// endsBefore reports whether a row begins a new sample, and adds the row to the new or the current one. dcgmi orders
// GPUs by their index; the numbers of other entities come in any order.
func (s *sample) endsBefore(e *entity) bool {
	ends := s.seen[e.text] || e.whole && e.gpu < s.gpu
	if ends || s.seen == nil || len(s.seen) == maxSeen {
		s.seen, s.gpu = map[string]bool{}, 0
	}
	s.seen[e.text] = true
	if e.whole {
		s.gpu = e.gpu
	}
	return ends
}
