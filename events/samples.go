package events

// Samples are readings of one series in columns: Times ascending, and beside each time a mantissa.
// All share Exponent unless Exponents is set (numbers too far apart for one exponent), which then
// gives each its own. A time may occur more than once, with different values. Absent lists, by row,
// the readings that have a reason instead of a number; their mantissa is 0.
type Samples struct {
	Times     []Timestamp
	Mantissas []int64
	Exponent  int16
	Exponents []int16
	Absent    []Absence // ascending by Row
}

// Absence is the reason and the source's text of one absent reading.
type Absence struct {
	Row    int
	Reason Reason
	Raw    string
}

// Len is the number of readings.
func (s *Samples) Len() int { return len(s.Times) }

// At gives reading i, its number normalised.
func (s *Samples) At(i int) (Timestamp, Value) { panic("contract") }

// Add appends a reading at the end, whatever its time; Canonical restores the order.
func (s *Samples) Add(at Timestamp, v Value) { panic("contract") }

// Slice gives the readings i..j-1, sharing memory with s.
func (s *Samples) Slice(i, j int) Samples { panic("contract") }

// Canonical sorts by time, then by Value.Compare, drops exact repeats and picks the one form (exponent) that
// this set of readings has. Two equal sets are then equal field by field.
func (s *Samples) Canonical() { panic("contract") }

// Union gives the canonical set of readings in a or b (both canonical), and those of b that a had not.
func Union(a, b Samples) (all, added Samples) { panic("contract") }

// AppendSamples writes canonical or plain samples compactly (delta times, delta mantissas; varints).
func AppendSamples(dst []byte, s *Samples) []byte { panic("contract") }

// ParseSamples undoes AppendSamples and gives what is left of src. It never allocates more than a small
// multiple of len(src), whatever src claims.
func ParseSamples(src []byte) (s Samples, rest []byte, err error) { panic("contract") }
