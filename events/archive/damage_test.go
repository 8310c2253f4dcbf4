package archive

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestScansOfDamagedObjectsEnd changes bytes of objects. A scan that reads them whole detects it; one that reads parts may
// return anything, or an error, but must end without a panic.
func TestScansOfDamagedObjectsEnd(t *testing.T) {
	for name, whole := range map[string]int64{"whole": wholeBytes, "in parts": 0} {
		t.Run(name, func(t *testing.T) { testScansOfDamage(t, whole) })
	}
}

func testScansOfDamage(t *testing.T, whole int64) {
	s := openDir(t)
	s.wholeBytes = whole
	r := rand.New(rand.NewPCG(1, 6))
	e := mustMerge(t, s, []Entry{mustWrite(t, s, rangeUpto(1<<20), oddEvents(r, 100))})
	failed, all := 0, 0
	for _, kind := range []Kind{Records, Hours} {
		o, _ := e.Object(kind)
		path := filepath.Join(s.dir, o.Name)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			broken := append([]byte(nil), content...)
			for range 1 + r.IntN(3) {
				broken[r.IntN(len(broken))] ^= 1 << r.IntN(8)
			}
			if err := os.WriteFile(path, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			var last error
			if kind == Records {
				for _, err := range s.Scan(t.Context(), e, oddFilter(r)) {
					last = err
				}
			} else {
				for _, err := range s.Rollup(t.Context(), e, kind, oddFilter(r)) {
					last = err
				}
			}
			if all++; last != nil {
				failed++
			}
		}
	}
	if failed == 0 || whole > 0 && failed < all {
		t.Errorf("%d of %d damages were noticed", failed, all)
	}
}
