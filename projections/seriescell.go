package projections

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"telemetry-pipeline/events"
)

// A sample column holds the values that belong to a vector of times:
//
//	head: flags, and above them the common exponent
//	if sampleAbsent: count; for each the distance from the row before (from -1), reason, raw text (0: none)
//	for each row its mantissa less the one before; 0 for absent rows
//	if sampleExponents: for each row its exponent
//
// Each row takes a byte at least, so that a parsed column never outgrows its source.
const (
	sampleAbsent = 1 << iota
	sampleExponents
	sampleBits = iota
)

func (c *seriesCoder) appendSamples(dst []byte, s *Column) []byte {
	flags := uint64(0)
	if len(s.Absent) > 0 {
		flags |= sampleAbsent
	}
	if len(s.Exponents) > 0 {
		flags |= sampleExponents
	}
	dst = binary.AppendUvarint(dst, zigzag(int64(s.Exponent))<<sampleBits|flags)
	if len(s.Absent) > 0 {
		dst = c.appendAbsences(dst, s.Absent)
	}
	dst = appendMantissas(dst, s)
	for _, e := range s.Exponents {
		dst = appendVarint(dst, int64(e))
	}
	return dst
}

func (c *seriesCoder) appendAbsences(dst []byte, absent []events.Absence) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(absent)))
	last := -1
	for _, a := range absent {
		dst = binary.AppendUvarint(dst, uint64(a.Row-last))
		dst = append(dst, byte(a.Reason))
		dst = binary.AppendUvarint(dst, c.names.optionalRef(a.Raw, ""))
		last = a.Row
	}
	return dst
}

func appendMantissas(dst []byte, s *Column) []byte {
	last, absent := int64(0), s.Absent
	for row, m := range s.Mantissas {
		if len(absent) > 0 && absent[0].Row == row {
			absent = absent[1:]
			dst = append(dst, 0)
			continue
		}
		dst = appendVarint(dst, m-last)
		last = m
	}
	return dst
}

// readSamples reads a sample column over a vector; mantissas is where its numbers go, of the vector's length.
func (r *reader) readSamples(names []string, times []events.Timestamp, mantissas []int64) events.Samples {
	head := r.readUvarint()
	s := events.Samples{Times: times, Mantissas: mantissas, Exponent: r.narrowExponent(unzigzag(head >> sampleBits))}
	if head&sampleAbsent != 0 {
		s.Absent = r.readAbsences(names, len(times))
	}
	r.readMantissas(mantissas, s.Absent)
	if head&sampleExponents != 0 && len(times) <= len(r.src) {
		s.Exponents = make([]int16, len(times))
		for i := range s.Exponents {
			s.Exponents[i] = r.readExponent()
		}
	} else if head&sampleExponents != 0 {
		r.fail(errShort)
	}
	return s
}

func (r *reader) readAbsences(names []string, rows int) []events.Absence {
	count, last := r.readCount(3), -1
	if count == 0 || count > rows {
		r.fail(fmt.Errorf("%d absent rows of %d", count, rows))
		return nil
	}
	absent := make([]events.Absence, count)
	for i := range absent {
		step := r.readUvarint()
		if step == 0 || step >= uint64(rows-last) {
			r.fail(fmt.Errorf("absent row %d+%d of %d", last, step, rows))
			return nil
		}
		last += int(step)
		absent[i].Row = last
		if b := r.readBytes(1); b != nil {
			absent[i].Reason = events.Reason(b[0])
		}
		if absent[i].Reason == events.Present {
			r.fail(errors.New("absent reading without a reason"))
		}
		absent[i].Raw = r.readOptional(names, "")
	}
	return absent
}

// readMantissas is the loop that parsing spends its time in, so it keeps the source in a local variable.
func (r *reader) readMantissas(to []int64, absent []events.Absence) {
	src, last := r.src, int64(0)
	for i := range to {
		if len(src) > 0 && src[0] < 0x80 {
			last += unzigzag(uint64(src[0]))
			src = src[1:]
		} else {
			u, n := binary.Uvarint(src)
			if n <= 0 {
				r.fail(errShort)
				return
			}
			last += unzigzag(u)
			src = src[n:]
		}
		to[i] = last
	}
	r.src = src
	for _, a := range absent {
		to[a.Row] = 0
	}
}

// skipSamples passes over a sample column of so many rows.
func (r *reader) skipSamples(names []string, rows int) {
	head := r.readUvarint()
	if head&sampleAbsent != 0 {
		r.readAbsences(names, rows)
	}
	r.skipVarints(rows)
	if head&sampleExponents != 0 {
		r.skipVarints(rows)
	}
}

// skipVarints passes over n varints, eight bytes at a time: each varint ends with its only byte below 0x80.
func (r *reader) skipVarints(n int) {
	src := r.src
	for len(src) >= 8 {
		ends := bits.OnesCount64(^binary.LittleEndian.Uint64(src) & 0x8080808080808080)
		if ends >= n {
			break
		}
		n, src = n-ends, src[8:]
	}
	i := 0
	for ; n > 0 && i < len(src); i++ {
		if src[i] < 0x80 {
			n--
		}
	}
	if r.src = src[i:]; n > 0 {
		r.fail(errShort)
	}
}
