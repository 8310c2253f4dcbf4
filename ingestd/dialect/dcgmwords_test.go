package dialect

import (
	"bytes"
	"slices"
	"testing"
)

// The words that begin with dcgm_ are the same as by looking at all words.
func TestDCGMWords(t *testing.T) {
	isDCGM := func(word []byte) bool { return len(word) >= 5 && bytes.EqualFold(word[:5], []byte("dcgm_")) }
	for _, text := range []string{
		"", "_", "dcgm", "dcgm_", "DCGM_FI_DEV_X", "a DCGM_FI_DEV_X,dcgm_y;Dcgm_z_\n", "xdcgm_a _dcgm_b 1dcgm_c", "édcgm_a dcgm_é", "dcgm_dcgm_a",
		"dcg_m dcgm__a_b", "\xffdcgm_a\xff", "DCGM_FI{gpu=\"0\"} DCGM_EXP_x",
	} {
		var want, got []string
		for word := range bytes.FieldsFuncSeq([]byte(text), func(r rune) bool { return !nameRune(r) }) {
			if isDCGM(word) {
				want = append(want, string(word))
			}
		}
		for word := range dcgmWords([]byte(text)) {
			got = append(got, string(word))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
