package dcgmdmon

// sample is what the sample under way has had.
type sample struct {
	seen map[string]bool
	gpu  int // of the last row of a GPU itself
}

// maxSeen bounds a sample; what a longer one has had is forgotten.
const maxSeen = 1 << 16

// endsBefore tells that a row begins a new sample, and counts it to that or to the one under way. dcgmi
// orders GPUs by their index; the numbers of other entities come in any order.
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
