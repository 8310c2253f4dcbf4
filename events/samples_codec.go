package events

import (
	"encoding/binary"
	"errors"
	"math"
)

// The parts of stored samples, from which compact.go builds a column. Every number is a varint (zigzag if it can be
// negative):
//
//	flags: 1 = exponents by row, 2 = absences
//	times: their unit, then the first, the first difference, and differences of differences
//	exponent, unless by row
//	mantissas: differences to the previous one; an absent row repeats it
//	exponents by row
//	absences: count, then for each its distance to the previous row, the reason and the text
//
// Every row has at least two bytes, so a stored length can be checked before memory is allocated for it.
const (
	flagExponents = 1 << iota
	flagAbsent
	flagsEnd
)

// codecFlags returns the flags of the optional parts that follow.
func (s *Samples) codecFlags() (f byte) {
	if s.Exponents != nil {
		f |= flagExponents
	}
	if len(s.Absent) > 0 {
		f |= flagAbsent
	}
	return f
}

// timeUnit returns the largest unit of 1 s, 1 ms, 1 µs and 1 ns that divides all times, as the exponent k of 1000^k ns.
func timeUnit(times []Timestamp) byte {
	unit := byte(3)
	for _, t := range times {
		for int64(t)%powers[3*unit] != 0 {
			unit--
		}
		if unit == 0 {
			break
		}
	}
	return unit
}

func appendTimes(dst []byte, times []Timestamp) []byte {
	unit := timeUnit(times)
	dst = append(dst, unit)
	var last, step int64
	for i, t := range times {
		now := int64(t) / powers[3*unit]
		dst = binary.AppendVarint(dst, now-last-step)
		if i > 0 {
			step = now - last
		}
		last = now
	}
	return dst
}

func (s *Samples) appendMantissas(dst []byte) []byte {
	last, absent := int64(0), s.Absent
	for i, m := range s.Mantissas {
		if len(absent) > 0 && absent[0].Row == i {
			absent = absent[1:]
			m = last
		}
		dst = binary.AppendVarint(dst, m-last)
		last = m
	}
	return dst
}

func (s *Samples) appendExponents(dst []byte) []byte {
	for _, e := range s.Exponents {
		dst = binary.AppendVarint(dst, int64(e))
	}
	return dst
}

// sameRaw flags an absence with the same text as the previous one.
const sameRaw = 0x80

func (s *Samples) appendAbsences(dst []byte) []byte {
	if len(s.Absent) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.Absent)))
	row, raw := 0, ""
	for _, a := range s.Absent {
		dst = binary.AppendUvarint(dst, uint64(a.Row-row))
		if a.Raw == raw {
			dst = append(dst, byte(a.Reason)|sameRaw)
		} else {
			dst = append(dst, byte(a.Reason))
			dst = binary.AppendUvarint(dst, uint64(len(a.Raw)))
			dst = append(dst, a.Raw...)
		}
		row, raw = a.Row, a.Raw
	}
	return dst
}

func (r *reader) readExponent() int16 {
	e := r.readVarint()
	if e < math.MinInt16 || e > math.MaxInt16 {
		r.setError(errors.New("stored exponent out of range"))
	}
	return int16(e)
}

func (r *reader) readTimes(times []Timestamp) {
	code := r.readByte()
	if code > 3 {
		r.setError(errors.New("stored time unit is unknown"))
		return
	}
	unit := powers[3*code]
	var last, step int64
	for i := range times {
		now := last + step + r.readVarint()
		if i > 0 {
			step = now - last
		}
		last = now
		times[i] = Timestamp(now * unit)
	}
}

func (r *reader) readMantissas(mantissas []int64) {
	last := int64(0)
	for i := range mantissas {
		last += r.readVarint()
		mantissas[i] = last
	}
}

// readOptional reads the parts of s selected by flags.
func (r *reader) readOptional(s *Samples, flags byte) {
	if flags&flagExponents != 0 && r.err == nil {
		if len(s.Times) > len(r.src) {
			r.setError(errTruncated)
			return
		}
		s.Exponents = make([]int16, len(s.Times))
		for i := range s.Exponents {
			s.Exponents[i] = r.readExponent()
		}
	}
	if flags&flagAbsent != 0 {
		r.readAbsences(s)
	}
}

// readAbsences reads the absences and sets the mantissas of their rows to 0.
func (r *reader) readAbsences(s *Samples) {
	count := r.readCount(2)
	if r.err != nil || count == 0 || count > len(s.Times) {
		r.setError(errors.New("stored absences differ from the absences of the samples"))
		return
	}
	s.Absent = make([]Absence, count)
	row, raw := uint64(0), ""
	for i := range s.Absent {
		step := r.readUvarint()
		if row += step; step > uint64(len(s.Times)) || row >= uint64(len(s.Times)) || i > 0 && step == 0 {
			r.setError(errors.New("stored absence is out of order or range"))
			return
		}
		reason := r.readByte()
		if reason&sameRaw == 0 {
			raw = r.readText()
		}
		s.Absent[i] = Absence{Row: int(row), Reason: Reason(reason &^ sameRaw), Raw: raw}
		s.Mantissas[row] = 0
	}
}
