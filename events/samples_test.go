package events

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// readingsOf returns the readings of s.
func readingsOf(s Samples) (out []someReading) {
	for at, v := range s.All() {
		out = append(out, someReading{at, v})
	}
	return out
}

// setOf returns the set of readings in order, computed without Samples.
func setOf(rs []someReading) []someReading {
	out := slices.Clone(rs)
	slices.SortFunc(out, func(a, b someReading) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.v.Compare(b.v)
	})
	return slices.Compact(out)
}

func equalReadings(a, b []someReading) bool { return slices.Equal(a, b) }

func TestSamplesKeepReadings(t *testing.T) {
	for seed := range uint64(2000) {
		want := someReadings(random(seed), int(seed%40))
		s := samplesOf(want)
		if got := readingsOf(s); !equalReadings(got, want) {
			t.Fatalf("seed %d: got readings %v, want %v", seed, got, want)
		}
		for i, w := range want {
			if at, v := s.At(i); at != w.at || v != w.v {
				t.Fatalf("seed %d: At(%d) = %v, %v, want %v", seed, i, at, v, w)
			}
		}
	}
}

func TestCanonicalIsAFunctionOfTheSet(t *testing.T) {
	for seed := range uint64(2000) {
		r := random(seed)
		list := someReadings(r, r.IntN(40))
		want := canonicalOf(list)
		if got := readingsOf(want); !equalReadings(got, setOf(list)) {
			t.Fatalf("seed %d: got set %v, want %v", seed, got, setOf(list))
		}
		if err := want.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		again := append(slices.Clone(list), list[:r.IntN(len(list)+1)]...)
		r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if d := diff(want, canonicalOf(again)); d != "" {
			t.Fatalf("seed %d: another order has another form (-want +got):\n%s", seed, d)
		}
	}
}

func TestUnionIsSetUnion(t *testing.T) {
	for seed := range uint64(3000) {
		r := random(seed)
		x, y := someReadings(r, r.IntN(30)), someReadings(r, r.IntN(30))
		if r.IntN(3) == 0 { // entirely after x
			for i := range y {
				y[i].at += 40e9
			}
		}
		a, b := canonicalOf(x), canonicalOf(y)
		beforeA, beforeB := canonicalOf(x), canonicalOf(y)
		all, added := Union(a, b)
		if d := diff(canonicalOf(slices.Concat(x, y)), all); d != "" {
			t.Fatalf("seed %d: union (-want +got):\n%s", seed, d)
		}
		fresh := slices.DeleteFunc(slices.Clone(y), func(r someReading) bool { return slices.Contains(x, r) })
		if d := diff(canonicalOf(fresh), added); d != "" {
			t.Fatalf("seed %d: added (-want +got):\n%s", seed, d)
		}
		other, _ := Union(b, a)
		if d := diff(all, other); d != "" {
			t.Fatalf("seed %d: the other way round (-want +got):\n%s", seed, d)
		}
		if d := diff(beforeA, a) + diff(beforeB, b); d != "" {
			t.Fatalf("seed %d: an argument changed:\n%s", seed, d)
		}
	}
}

func TestUniteInAnyBatches(t *testing.T) {
	for seed := range uint64(1000) {
		r := random(seed)
		list := someReadings(r, 60)
		want := canonicalOf(list)
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if r.IntN(2) == 0 { // mostly in order
			slices.SortFunc(list, func(a, b someReading) int { return int(a.at - b.at) })
		}
		var got Samples
		for rest := list; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			got.Unite(canonicalOf(rest[:n]))
			rest = rest[n:]
		}
		if d := diff(want, got); d != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, d)
		}
	}
}

// Unions of one set with several others must not affect each other, even with spare room behind the set.
func TestUnionsOfOneSetAreIndependent(t *testing.T) {
	var base Samples
	for i := range 100 {
		base.Unite(Samples{Times: []Timestamp{Timestamp(i)}, Mantissas: []int64{1}})
	}
	one, _ := Union(base, Samples{Times: []Timestamp{200}, Mantissas: []int64{7}})
	two, _ := Union(base, Samples{Times: []Timestamp{300}, Mantissas: []int64{9}})
	if at, v := one.At(100); at != 200 || v.Number != Int(7) {
		t.Errorf("the first union ends in %d, %v, want 200, 7", at, v.Number)
	}
	if at, v := two.At(100); at != 300 || v.Number != Int(9) {
		t.Errorf("the second union ends in %d, %v, want 300, 9", at, v.Number)
	}
}

// Slices keep their content when the samples grow or change their exponent.
func TestSlicesKeepTheirContent(t *testing.T) {
	for seed := range uint64(500) {
		r := random(seed)
		list := someReadings(r, 30)
		s := canonicalOf(list)
		i := r.IntN(s.Len())
		j := i + r.IntN(s.Len()-i+1)
		want := readingsOf(s)[i:j]
		piece := s.Slice(i, j)
		if got := readingsOf(piece); !equalReadings(got, want) {
			t.Fatalf("seed %d: Slice(%d, %d) holds %v, want %v", seed, i, j, got, want)
		}
		whole := readingsOf(s)
		other := piece
		other.Canonical()
		other.Add(0, Value{Number: Number{1, -9}})
		s.Unite(canonicalOf(someReadings(r, 5)))
		if got := readingsOf(piece); !equalReadings(got, want) {
			t.Fatalf("seed %d: the slice became %v, want %v", seed, got, want)
		}
		if d := diff(canonicalOf(list), canonicalOf(whole)); d != "" {
			t.Fatalf("seed %d: the samples changed:\n%s", seed, d)
		}
	}
}

func TestCanonicalExponent(t *testing.T) {
	tests := []struct {
		name    string
		numbers []Number
		want    Samples
	}{
		{"none", nil, Samples{}},
		{"zeros", []Number{{}, {}}, Samples{Mantissas: []int64{0, 0}}},
		{"hundreds", []Number{Int(200), {}, Int(1000)}, Samples{Mantissas: []int64{2, 0, 10}, Exponent: 2}},
		{"mixed", []Number{Int(200), {5, -1}}, Samples{Mantissas: []int64{2000, 5}, Exponent: -1}},
		{"far apart", []Number{{1, 30}, {}, {1, -30}}, Samples{Mantissas: []int64{1, 0, 1}, Exponents: []int16{30, 0, -30}}},
		{"full", []Number{Int(math.MaxInt64), {1, -1}}, Samples{Mantissas: []int64{math.MaxInt64, 1}, Exponents: []int16{0, -1}}},
	}
	for _, tt := range tests {
		var s Samples
		for i, n := range tt.numbers {
			s.Add(Timestamp(i), Value{Number: n})
			tt.want.Times = append(tt.want.Times, Timestamp(i))
		}
		s.Canonical()
		if d := diff(tt.want, s); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestStoredSamples(t *testing.T) {
	for seed := range uint64(2000) {
		r := random(seed)
		want := samplesOf(someReadings(r, r.IntN(40)))
		if r.IntN(2) == 0 {
			want.Canonical()
		}
		if want.Len() == 0 {
			want = Samples{}
		}
		stored := appendSamples([]byte("before"), &want)
		got, rest, err := parseSamples(append(stored, "behind"...)[len("before"):])
		if err != nil || string(rest) != "behind" {
			t.Fatalf("seed %d: got rest %q, error %v", seed, rest, err)
		}
		if d := diff(want, got); d != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, d)
		}
	}
}

func TestStoredSamplesAreChecked(t *testing.T) {
	huge := appendSamples(nil, &Samples{Times: make([]Timestamp, 1<<16), Mantissas: make([]int64, 1<<16)})[:20]
	for name, src := range map[string][]byte{
		"nothing":           {},
		"a claim of rows":   huge,
		"an endless number": {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"an unknown flag":   {1, 0x80, 0, 2, 0, 0},
		"an unknown unit":   {1, 0, 4, 2, 0, 0},
		"a far exponent":    {1, 0, 0, 2, 0x80, 0x80, 0x80, 0x80, 0x10, 0},
		"an absent row 5":   {1, 2, 0, 2, 0, 0, 1, 5, 1, 0},
	} {
		if _, _, err := parseSamples(src); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func FuzzSamples(f *testing.F) {
	for seed := range uint64(8) {
		s := samplesOf(someReadings(random(seed), 12))
		f.Add(appendSamples(nil, &s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		s, rest, err := parseSamples(src)
		if err != nil {
			return
		}
		if used := len(src) - len(rest); s.Len() > used {
			t.Fatalf("%d rows of %d bytes", s.Len(), used)
		}
		again, rest, err := parseSamples(appendSamples(nil, &s))
		if err != nil || len(rest) != 0 {
			t.Fatalf("reading them again: rest %x, error %v", rest, err)
		}
		if d := diff(s, again); d != "" {
			t.Fatalf("they changed (-want +got):\n%s", d)
		}
		s.Canonical()
		if err := s.checkAbsent(); err != nil {
			return // an undefined reason can be stored; Check rejects it
		}
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

func benchmarkSamples(r *rand.Rand, from, count int) (s Samples) {
	for i := range count {
		s.Add(Timestamp(from+i)*30e9, Value{Number: Number{300000 + r.Int64N(300000), -3}})
	}
	s.Canonical()
	return s
}

func BenchmarkUniteNewer(b *testing.B) {
	r := random(5)
	piece := benchmarkSamples(r, 0, 25)
	var s Samples
	for b.Loop() {
		if s.Len() > 1<<20 {
			s = Samples{}
		}
		for i := range piece.Times {
			piece.Times[i] += 25 * 30e9
		}
		s.Unite(piece)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/25, "ns/record")
}

// appendSamples encodes one Samples from the parts of an event: rows, flags, then the other parts in order.
func appendSamples(dst []byte, s *Samples) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.Len()))
	if s.Len() == 0 {
		return dst
	}
	dst = append(dst, s.codecFlags())
	dst = appendTimes(dst, s.Times)
	if s.Exponents == nil {
		dst = binary.AppendVarint(dst, int64(s.Exponent))
	}
	dst = s.appendMantissas(dst)
	dst = s.appendExponents(dst)
	return s.appendAbsences(dst)
}

// parseSamples parses the result of appendSamples and returns the remaining bytes. It never allocates more than a
// small multiple of len(src), for any lengths in src. The samples do not refer to src.
func parseSamples(src []byte) (s Samples, rest []byte, err error) {
	r := reader{src: src}
	rows := r.readUvarint()
	if rows == 0 {
		return Samples{}, r.src, r.err
	}
	flags := r.readByte()
	if r.err == nil && (flags >= flagsEnd || rows > uint64(len(r.src)/2)) {
		r.err = errTruncated
	}
	if r.err != nil {
		return Samples{}, src, fmt.Errorf("reading samples: %w", r.err)
	}
	s.Times = make([]Timestamp, rows)
	s.Mantissas = make([]int64, rows)
	r.readTimes(s.Times)
	if flags&flagExponents == 0 {
		s.Exponent = r.readExponent()
	}
	r.readMantissas(s.Mantissas)
	r.readOptional(&s, flags)
	if r.err != nil {
		return Samples{}, src, fmt.Errorf("reading samples: %w", r.err)
	}
	return s, r.src, nil
}
