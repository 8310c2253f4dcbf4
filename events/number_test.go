package events

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestParseNumber(t *testing.T) {
	tests := []struct {
		text string
		want Number
	}{
		{"0", Number{}},
		{"-0", Number{}},
		{"+0.000", Number{}},
		{"0e99999999999999999999", Number{}},
		{"66.781", Number{66781, -3}},
		{"-66.7810", Number{-66781, -3}},
		{"+8192", Number{8192, 0}},
		{"250", Number{25, 1}},
		{"007", Number{7, 0}},
		{"1e+06", Number{1, 6}},
		{"1.5E-7", Number{15, -8}},
		{"9223372036854775792", Number{9223372036854775792, 0}},
		{"9223372036854775807", Number{math.MaxInt64, 0}},
		{"-9223372036854775808", Number{math.MinInt64, 0}},
		{"9223372036854775808", Number{9223372036854776, 3}},
		{"9.223372036854776e+18", Number{9223372036854776, 3}},
		{"1000000000000000000000000000000", Number{1, 30}},
		{"0.000000000000000000000000000001", Number{1, -30}},
		{"1.0000000000000000000000000000", Number{1, 0}},
		{"3.14159265358979323846264338327950288", Number{3141592653589793, -15}},
		{"1e32767", Number{1, 32767}},
	}
	for _, tt := range tests {
		got, err := ParseNumber(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("ParseNumber(%q) = %v, %v, want %v", tt.text, got, err, tt.want)
		}
		if got, err := ParseNumber([]byte(tt.text)); err != nil || got != tt.want {
			t.Errorf("ParseNumber([]byte(%q)) = %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
}

func TestParseNumberRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "-", "+", ".", ".5", "5.", "1 ", " 1", "1,5", "1_000", "0x10", "1e", "1e+", "1e5.0", "e5", "--1", "NaN", "Inf", "+Inf",
		"1e32768", "1e-32769", "1e99999999999999999999", "12345678901234567890123e400", "12345678901234567890123e-400", "1\x00", "١",
		"1.2.3", "123456789012345678901x", strings.Repeat("9", 400),
	} {
		if got, err := ParseNumber(text); err == nil {
			t.Errorf("ParseNumber(%q) = %v, want an error", text, got)
		}
	}
}

func TestNumberText(t *testing.T) {
	tests := []struct {
		n    Number
		want string
	}{
		{Number{}, "0"},
		{Number{66781, -3}, "66.781"},
		{Number{-5, -1}, "-0.5"},
		{Number{8192, 0}, "8192"},
		{Number{25, 1}, "250"},
		{Number{1, 20}, "100000000000000000000"},
		{Number{1, 21}, "1e21"},
		{Number{12, 30}, "1.2e31"},
		{Number{1, -6}, "0.000001"},
		{Number{1, -7}, "1e-7"},
		{Number{123, -9}, "1.23e-7"},
		{Number{math.MinInt64, 0}, "-9223372036854775808"},
	}
	for _, tt := range tests {
		if got := tt.n.String(); got != tt.want {
			t.Errorf("%#v is written %q, want %q", tt.n, got, tt.want)
		}
	}
}

// someDecimal returns a number in one of the notations of sources.
func someDecimal(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString([]string{"", "", "-", "+"}[r.IntN(4)])
	digits := func(most int) {
		for range 1 + r.IntN(most) {
			b.WriteByte("00123456789"[r.IntN(11)])
		}
	}
	digits(1 + r.IntN(25))
	if r.IntN(2) == 0 {
		b.WriteByte('.')
		digits(1 + r.IntN(25))
	}
	if r.IntN(4) == 0 {
		b.WriteString("e" + strconv.Itoa(r.IntN(100)-50))
	}
	return b.String()
}

func parseRational(t *testing.T, text string) *big.Rat {
	v, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("math/big does not read %q", text)
	}
	return v
}

func TestNumberKeepsEveryDigit(t *testing.T) {
	r := random(2)
	for range 20000 {
		text := someDecimal(r)
		n, err := ParseNumber(text)
		if err != nil {
			t.Fatalf("ParseNumber(%q): %v", text, err)
		}
		if back, err := ParseNumber(n.String()); err != nil || back != n {
			t.Fatalf("%q is written %q, which is read as %v, %v", text, n, back, err)
		}
		if n != NumberOf(n.Mantissa, n.Exponent) {
			t.Fatalf("ParseNumber(%q) = %#v, not normalised", text, n)
		}
		want := parseRational(t, text)
		nearest, _ := want.Float64()
		if got := n.Float(); got != nearest {
			t.Fatalf("ParseNumber(%q).Float() = %v, want %v", text, got, nearest)
		}
		if parseRational(t, n.String()).Cmp(want) == 0 {
			continue
		}
		if digits := strings.Trim(strings.Replace(strings.TrimLeft(strings.Split(text, "e")[0], "+-"), ".", "", 1), "0"); len(digits) < 19 {
			t.Fatalf("ParseNumber(%q) = %v: lost digits that an int64 holds", text, n)
		}
	}
}

func TestNumberCompareIsExact(t *testing.T) {
	r := random(3)
	for range 20000 {
		a, b := someNumber(r), someNumber(r)
		want := parseRational(t, a.String()).Cmp(parseRational(t, b.String()))
		if got := a.Compare(b); got != want {
			t.Fatalf("(%v).Compare(%v) = %d, want %d", a, b, got, want)
		}
		if a.Compare(a) != 0 {
			t.Fatalf("(%v).Compare(itself) = %d", a, a.Compare(a))
		}
	}
}

func TestParseNumberDoesNotAllocate(t *testing.T) {
	texts := [][]byte{[]byte("66.781"), []byte("-9223372036854775808"), []byte("1e+06"), []byte("0.0000000000000000000000000001")}
	got := testing.AllocsPerRun(100, func() {
		for _, text := range texts {
			if _, err := ParseNumber(text); err != nil {
				t.Fatal(err)
			}
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func FuzzNumber(f *testing.F) {
	for _, text := range []string{"0", "66.781", "-1e-7", "18446744073709551616", "1e", ".5", "0x1p4"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseNumber(text)
		if err != nil {
			return
		}
		if back, err := ParseNumber(n.String()); err != nil || back != n {
			t.Fatalf("%q is written %q, which is read as %v, %v", text, n, back, err)
		}
		want, err := strconv.ParseFloat(text, 64)
		if got := n.Float(); got != want && err == nil {
			t.Fatalf("ParseNumber(%q).Float() = %v, want %v", text, got, want)
		}
	})
}

func BenchmarkParseNumber(b *testing.B) {
	texts := [][]byte{[]byte("0"), []byte("66.781"), []byte("42510"), []byte("1980")}
	for b.Loop() {
		for _, text := range texts {
			if _, err := ParseNumber(text); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(texts)), "ns/number")
}
