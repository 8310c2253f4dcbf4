package measure

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestUseOfAProcessIsParsed(t *testing.T) {
	t.Parallel()
	cpu, err := parseStat([]byte("4711 (a name) with ) in it) S 1 4711 4711 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 9 0 1 2 3"))
	if err != nil || cpu != 1750*time.Millisecond {
		t.Errorf("the processor time is %s, %v; want 1.75s", cpu, err)
	}
	if _, err := parseStat([]byte("nothing")); err == nil {
		t.Error("a text of another form was parsed")
	}
	status := []byte("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n")
	if got, err := parseStatus(status, "VmRSS:"); err != nil || got != 1<<20 {
		t.Errorf("the resident memory is %d, %v; want 1 MiB", got, err)
	}
	if _, err := parseStatus(status, "VmSwap:"); err == nil {
		t.Error("a line that is not there was found")
	}
}

func TestTrafficOfAProcessIsParsed(t *testing.T) {
	t.Parallel()
	text := []byte("rchar: 6976\nread_bytes: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 2\n")
	if got, err := parseIO(text, "write_bytes:"); err != nil || got != 4096 {
		t.Errorf("the written bytes are %d, %v; want 4096", got, err)
	}
	if _, err := parseIO(text, "written:"); err == nil {
		t.Error("a line that is not there was found")
	}
}

func TestSizeOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, size := range map[string]int{"a": 10, "b/c": 20} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if bytes, files, err := DirectorySize(dir); bytes != 30 || files != 2 || err != nil {
		t.Errorf("%d bytes in %d files, %v; want 30 in 2", bytes, files, err)
	}
	if bytes, _, err := DirectorySize(filepath.Join(dir, "none")); bytes != 0 || err != nil {
		t.Errorf("a directory that is not there has %d bytes, %v; want 0", bytes, err)
	}
}
