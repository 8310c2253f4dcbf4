package program

import (
	"os"
	"testing"
)

func TestADataDirectoryMayHaveAnyName(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "100% ü #1?,%41=") // not t.TempDir, whose path is too long for sockets as it is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	content := simulated(t, 1, 1)
	s := startStack(t, dir)
	if status, r := s.upload("export.csv", content, "?wait=true"); status != 200 || r.Accepted == 0 {
		t.Errorf("upload: %d, %d accepted", status, r.Accepted)
	}
	s.stop()
	s = startStack(t, dir)
	if status, r := s.upload("export.csv", content, "?wait=true"); status != 200 || r.Accepted != 0 || r.Duplicate == 0 {
		t.Errorf("the same after a restart: %d, %d accepted, %d duplicate", status, r.Accepted, r.Duplicate)
	}
}
