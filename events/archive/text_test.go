package archive

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"unicode/utf8"

	"telemetry-pipeline/events"
)

func FuzzTexts(f *testing.F) {
	for _, text := range oddTexts {
		f.Add(text, "x"+text)
	}
	f.Fuzz(func(t *testing.T, text, other string) {
		stored := escape(text)
		if got, err := unescape(stored); err != nil || got != text || !utf8.ValidString(stored) {
			t.Errorf("%q is stored as %q and read as %q, error %v", text, stored, got, err)
		}
		want := []events.Label{{Name: text, Value: other}, {Name: text, Value: text}}
		cell, err := labelsText(want)
		if err != nil || !json.Valid([]byte(cell)) {
			t.Fatalf("labels %q are stored as %s, error %v", want, cell, err)
		}
		if got, err := parseLabels(cell); err != nil || !slices.Equal(got, want) {
			t.Errorf("labels %q are stored as %s and read as %q, error %v", want, cell, got, err)
		}
	})
}

func FuzzStoredTexts(f *testing.F) {
	for _, text := range oddTexts {
		f.Add(text)
	}
	f.Add(`{"a":"b","a":"\uFFFDff"}`)
	f.Add(`{"a":1}`)
	f.Fuzz(func(t *testing.T, cell string) { // reading must not panic, for any content of a file
		if text, err := unescape(cell); err == nil && utf8.ValidString(cell) {
			if again, err := unescape(escape(text)); err != nil || again != text {
				t.Errorf("%q is read as %q, then as %q, error %v", cell, text, again, err)
			}
		}
		if labels, err := parseLabels(cell); err == nil {
			if _, err := labelsText(labels); err != nil {
				t.Errorf("labels %s are read as %q and cannot be stored: %v", cell, labels, err)
			}
		}
	})
}

func FuzzNumbers(f *testing.F) {
	for _, n := range oddNumbers {
		f.Add(n.Mantissa, n.Exponent)
	}
	f.Fuzz(func(t *testing.T, m int64, e int16) {
		n := events.NumberOf(m, e)
		if n.Exponent != e { // the column's exponent may be finer than the number's
			n = events.Number{Mantissa: m, Exponent: e}
		}
		value := n.Float()
		if isExact(n, value) != (scaledMantissa(value, e) == m && math.Abs(float64(m)) <= 1<<53) {
			t.Errorf("%v: exactly says %v, its value %v is %d at 10^%d", n, isExact(n, value), value, scaledMantissa(value, e), e)
		}
		cell, exact := rollupCells(n, e)
		if got, err := parseRollupCells(cell, e, exact); err != nil || got != events.NumberOf(m, e) {
			t.Errorf("%v is stored as %v and %q, and read as %v, error %v", n, cell, exact, got, err)
		}
	})
}

func TestNumbersOfTelemetryNeedNoText(t *testing.T) {
	for _, n := range []events.Number{
		{}, events.Int(100), events.Int(-40), events.Int(81559), events.NumberOf(66781, -3), events.NumberOf(123456, -6),
		events.Int(1 << 53), events.NumberOf(4711, 9), events.NumberOf(999999999999, -3),
	} {
		if cell, exact := rollupCells(n, n.Exponent); exact != "" || cell != n.Float() {
			t.Errorf("%v is stored as %v and %q, want %v alone", n, cell, exact, n.Float())
		}
	}
}
