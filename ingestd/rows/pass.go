package rows

import "bytes"

// Pass takes the next line that is not blank for none of the file's rows, and says why. It comes, as a fault, before the rows
// of the next batch.
func (s *Scanner) Pass(reason string) {
	for len(s.rest) > 0 {
		line, rest, found := bytes.Cut(s.rest, []byte("\n"))
		s.rest = rest
		if s.line++; len(bytes.TrimSpace(line)) > 0 {
			s.passed = append(s.passed, Rejection{Line: s.line, Text: Excerpt(trimCR(line)), Reason: reason})
			s.passedSizes = append(s.passedSizes, len(trimCR(line)))
		}
		if len(bytes.TrimSpace(line)) > 0 || !found {
			return
		}
	}
}

// fillPassed makes a batch of the lines that were passed over; false: there are none.
func (s *Scanner) fillPassed(b *Batch) bool {
	if len(s.passed) == 0 {
		return false
	}
	b.reset(s)
	b.faults, b.used = append(b.faults, s.passed...), 0
	for i, r := range s.passed {
		b.extents = append(b.extents, extent{end: s.passedSizes[i], line: r.Line, fault: i + 1})
	}
	s.passed, s.passedSizes = nil, nil
	return true
}
