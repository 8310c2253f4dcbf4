package rows

import "bytes"

// RejectLine takes the next line that is not blank out of the file's rows, for the given reason. The line comes, as a
// fault, before the rows of the next batch.
func (s *Scanner) RejectLine(reason string) {
	for len(s.rest) > 0 {
		line, rest, found := bytes.Cut(s.rest, []byte("\n"))
		s.rest = rest
		if s.line++; len(bytes.TrimSpace(line)) > 0 {
			s.rejected = append(s.rejected, Rejection{Line: s.line, Text: Excerpt(trimCR(line)), Reason: reason})
			s.rejectedSizes = append(s.rejectedSizes, len(trimCR(line)))
		}
		if len(bytes.TrimSpace(line)) > 0 || !found {
			return
		}
	}
}

// fillRejected fills the batch with the lines that RejectLine took. It returns false if there are none.
func (s *Scanner) fillRejected(b *Batch) bool {
	if len(s.rejected) == 0 {
		return false
	}
	b.resetFor(s)
	b.faults, b.used = append(b.faults, s.rejected...), 0
	for i, r := range s.rejected {
		b.extents = append(b.extents, extent{end: s.rejectedSizes[i], line: r.Line, fault: i + 1})
	}
	s.rejected, s.rejectedSizes = nil, nil
	return true
}
