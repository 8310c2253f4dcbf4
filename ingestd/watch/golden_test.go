package watch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"telemetry-pipeline/events/goldentest"
)

func goldenStates() map[string][]*progress {
	return map[string][]*progress{
		"state": {
			{Name: "gpu.log", Offset: 1 << 33, Line: 12, Header: "timestamp, index, utilization.gpu [%]", HeadBytes: 16384, HeadHash: "00f3a1b2c3d4e5f6"},
			{Name: "é <1>.csv"},
		},
		"state-none": nil,
	}
}

func TestStoredState(t *testing.T) {
	for name, files := range goldenStates() {
		path := filepath.Join(t.TempDir(), "state")
		if err := saveState(path, files); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, name, stateVersion, string(text))
	}
	goldentest.CheckReadable(t, "state", stateVersion, goldenStates(), func(text []byte) ([]*progress, error) {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, err
		}
		return loadState(path)
	})
}

func TestLaterStateIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, []byte(`{"version":2,"files":[{"name":"gpu.log","offset":7}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if files, err := loadState(path); err == nil {
		t.Errorf("a state of version 2 is read as %v, want an error", files)
	}
}

// The hash of a file's head is stored: with another one every watched file would be new, and shipped again.
func TestHashOfAHeadStays(t *testing.T) {
	got, err := hashHead(strings.NewReader("timestamp,value\n"), 9)
	if want := "19b486fce0c34b26"; err != nil || got != want {
		t.Errorf("the head has the hash %s (%v), want %s: states that are stored have the old one", got, err, want)
	}
}
