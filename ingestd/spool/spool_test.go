package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

func openSpool(t *testing.T, cfg Config) *Spool {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var received = time.Date(2025, 7, 18, 20, 42, 34, 5, time.UTC)

// commitUpload spools an upload of files with the given contents.
func commitUpload(t *testing.T, s *Spool, id events.UploadID, contents ...string) *Upload {
	t.Helper()
	d, err := s.BeginDraft(id, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, content := range contents {
		f := File{Name: fmt.Sprint(i, ".csv")}
		if size, err := d.AddFile(f, strings.NewReader(content)); err != nil || size != int64(len(content)) {
			t.Fatalf("adding %q: %d, %v", content, size, err)
		}
	}
	e, err := d.Commit(Manifest{ID: id, Log: "epoch", ReceivedAt: received, Query: map[string]string{"tz": "+02:00"}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func fileContents(t *testing.T, e *Upload) (all []string) {
	t.Helper()
	for i := range e.Files {
		f, err := e.OpenFile(i)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

func fileNames(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestUploadsAreThereAgainAfterARestart(t *testing.T) {
	cfg := Config{Dir: filepath.Join(t.TempDir(), "made", "here")}
	s := openSpool(t, cfg)
	later := commitUpload(t, s, "b", "two", "")
	first := commitUpload(t, s, "a", "one")
	if got := fileContents(t, later); !cmp.Equal(got, []string{"two", ""}) {
		t.Errorf("files are %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, cfg)
	found := s.Entries()
	if len(found) != 2 {
		t.Fatalf("found %d uploads, want 2", len(found))
	}
	for i, want := range []*Upload{first, later} { // of one time: by id
		if diff := cmp.Diff(want.Manifest, found[i].Manifest); diff != "" || found[i].Damage != nil {
			t.Errorf("upload %d changed (-was +is):\n%s%v", i, diff, found[i].Damage)
		}
	}
	if got := fileContents(t, found[1]); !cmp.Equal(got, []string{"two", ""}) {
		t.Errorf("files after a restart are %q", got)
	}
	if n, size := s.Usage(); n != 2 || size != 6 {
		t.Errorf("usage is %d uploads, %d bytes; want 2 and 6", n, size)
	}
	for _, e := range found {
		if err := e.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if left := fileNames(t, cfg.Dir); len(left) != 0 {
		t.Errorf("left in the directory: %v", left)
	}
	if n, size := s.Usage(); n != 0 || size != 0 {
		t.Errorf("usage of an empty spool is %d uploads, %d bytes", n, size)
	}
}

func TestOpenRemovesWhatIsHalfMadeAndNothingElse(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s := openSpool(t, cfg)
	half, err := s.BeginDraft("half", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := half.AddFile(File{}, strings.NewReader("half a file")); err != nil {
		t.Fatal(err)
	}
	commitUpload(t, s, "whole", "one")
	going := commitUpload(t, s, "going", "one")
	if err := os.Remove(filepath.Join(going.dir, manifestName)); err != nil { // as far as a Remove came
		t.Fatal(err)
	}
	for _, other := range []string{"theirs.csv", "scratch-123", "uploads"} {
		if err := os.WriteFile(filepath.Join(cfg.Dir, other), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openSpool(t, cfg)
	if got, want := fileNames(t, cfg.Dir), []string{"theirs.csv", "upload-whole", "uploads"}; !cmp.Equal(got, want) {
		t.Errorf("directory holds %v, want %v", got, want)
	}
}

func TestDamagedUploadsAreFoundWithTheirID(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s := openSpool(t, cfg)
	short, torn, moved := commitUpload(t, s, "short", "0123456789"), commitUpload(t, s, "torn", "x"), commitUpload(t, s, "moved", "x")
	errs := errors.Join(
		os.Truncate(short.filePath(0), 3),
		os.WriteFile(filepath.Join(torn.dir, manifestName), []byte(`{"id":"to`), 0o600),
		os.Rename(moved.dir, moved.dir+"2"),
		s.Close())
	if errs != nil {
		t.Fatal(errs)
	}
	got := map[events.UploadID]string{}
	for _, e := range openSpool(t, cfg).Entries() {
		got[e.ID] = fmt.Sprint(e.Damage)
		if err := e.Remove(); err != nil {
			t.Error(err)
		}
	}
	for id, want := range map[events.UploadID]string{"short": `"0.csv"`, "torn": "manifest", "moved2": `"moved"`} {
		if !strings.Contains(got[id], want) {
			t.Errorf("damage of %s is %q, want one that says %s", id, got[id], want)
		}
	}
	if left := fileNames(t, cfg.Dir); len(got) != 3 || len(left) != 0 {
		t.Errorf("found %v; left %v", got, left)
	}
}

func TestBounds(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir(), MaxBytes: 100, Uploads: 2})
	one := commitUpload(t, s, "one", strings.Repeat("x", 60))
	if _, err := s.BeginDraft("known", nil, 41); !errors.Is(err, ErrBytes) {
		t.Errorf("an upload known to be too large: %v, want %v", err, ErrBytes)
	}
	d, err := s.BeginDraft("unknown", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginDraft("third", nil, 0); !errors.Is(err, ErrUploads) {
		t.Errorf("an upload too many: %v, want %v", err, ErrUploads)
	}
	if _, err := d.AddFile(File{}, iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 41)))); !errors.Is(err, ErrBytes) {
		t.Errorf("a file too large: %v, want %v", err, ErrBytes)
	}
	if err := errors.Join(d.Discard(), d.Discard()); err != nil {
		t.Fatal(err)
	}
	scratch, err := s.CreateScratch(40)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scratch.Fill(strings.NewReader(strings.Repeat("x", 40))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginDraft("none", nil, 1); !errors.Is(err, ErrBytes) {
		t.Errorf("an upload beside a scratch file: %v, want %v", err, ErrBytes)
	}
	if err := errors.Join(scratch.Close(), one.Remove(), one.Remove()); err != nil {
		t.Fatal(err)
	}
	if n, size := s.Usage(); n != 0 || size != 0 {
		t.Errorf("usage of an empty spool is %d uploads, %d bytes", n, size)
	}
}

func TestAddFileDistinguishesSourceFromDisk(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir()})
	d, err := s.BeginDraft("a", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the line broke")
	_, err = d.AddFile(File{}, io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken)))
	if _, disk := errors.AsType[*WriteError](err); disk || !errors.Is(err, broken) {
		t.Errorf("error of the source: %v", err)
	}
	if err := os.RemoveAll(d.dir); err != nil {
		t.Fatal(err)
	}
	_, err = d.AddFile(File{}, strings.NewReader("some"))
	if _, disk := errors.AsType[*WriteError](err); !disk {
		t.Errorf("error of the disk: %v", err)
	}
	if err := writeError(&os.PathError{Err: syscall.ENOSPC}); !errors.Is(err, ErrDiskFull) {
		t.Errorf("no space on the device is %v", err)
	}
	if err := d.Discard(); err != nil {
		t.Error(err)
	}
}

func TestScratchIsReadAgainAndGone(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, Config{Dir: dir})
	scratch, err := s.CreateScratch(0)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	if _, err := scratch.Fill(bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, err := scratch.Reader()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d bytes (%v), want the %d written", len(got), err, len(want))
		}
	}
	if err := scratch.Close(); err != nil {
		t.Fatal(err)
	}
	if left := fileNames(t, dir); len(left) != 0 {
		t.Errorf("left in the directory: %v", left)
	}
}

func TestStartCountsProcessesThatDied(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s := openSpool(t, cfg)
	e := commitUpload(t, s, "a", "x")
	for want := range 3 { // none of which pauses
		died, err := e.BeginRun()
		if err != nil || died != want {
			t.Errorf("start tells of %d deaths (%v), want %d", died, err, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openSpool(t, cfg)
		e = s.Entries()[0]
	}
	if err := errors.Join(e.EndRun(), e.EndRun()); err != nil {
		t.Fatal(err)
	}
	if died, err := e.BeginRun(); err != nil || died != 0 {
		t.Errorf("start after a pause tells of %d deaths (%v), want none", died, err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s := openSpool(t, cfg)
	if _, err := Open(cfg); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v, want %v", err, ErrLocked)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openSpool(t, cfg)
}

func TestDirectoriesThatTakeNoFilesAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/telemetry"} {
		if s, err := Open(Config{Dir: dir}); err == nil {
			t.Errorf("opened %s", dir)
			s.Close()
		} else if !strings.Contains(err.Error(), dir) {
			t.Errorf("error %q does not name %s", err, dir)
		}
	}
}

func TestNamesThatLeadElsewhereAreRefused(t *testing.T) {
	s := openSpool(t, Config{Dir: t.TempDir()})
	for _, id := range []events.UploadID{"", "../x", "a/b", "a.part", "ä"} {
		if _, err := s.BeginDraft(id, nil, 0); err == nil {
			t.Errorf("upload id %q was taken", id)
		}
	}
}
