package backup

import (
	"bytes"
	"crypto/sha256"
	"path/filepath"
	"testing"
)

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	whole := bytes.Repeat([]byte("x"), 1024)
	sum := sha256.Sum256(whole)
	whole = append(whole, sum[:]...)
	damaged := bytes.Clone(whole)
	damaged[7] = 'y'
	for name, c := range map[string]struct {
		text []byte
		ok   bool
	}{"whole": {whole, true}, "cut": {whole[:len(whole)-1], false}, "damaged": {damaged, false}, "empty": {nil, false}} {
		if _, err := writeSnapshot(filepath.Join(t.TempDir(), "f"), bytes.NewReader(c.text), nil); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
