package archive

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

func TestOpenNamesTheFault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"":                       "none of file:///dir and s3://bucket",
		"/var/lib/archive":       "none of file:///dir and s3://bucket",
		"gs://bucket":            "none of file:///dir and s3://bucket",
		"file://relative/dir":    "file:///absolute/path",
		"s3://":                  "s3://bucket",
		"s3://b?regoin=x":        "regoin",
		"file://" + file + "/in": "not a directory",
		"%zz":                    "%zz",
	} {
		s, err := Open(t.Context(), address)
		if err == nil {
			err = s.Close()
			t.Errorf("Open(%q) works, closing it: %v", address, err)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q): got %v, want something about %q", address, err, want)
		}
	}
}

func TestOpenMakesTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b c%d")
	s, err := Open(t.Context(), "file://"+strings.ReplaceAll(strings.ReplaceAll(dir, "%", "%25"), " ", "%20"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := mustWrite(t, s, rangeUpto(1000), collectEvents(t, fleetEvents(1, 10, 8)))
	for _, o := range e.Objects {
		info, err := os.Stat(filepath.Join(dir, o.Name))
		if err != nil || info.Size() != o.Bytes {
			t.Errorf("object %s: size %v, error %v, want %d bytes", o.Name, info, err, o.Bytes)
		}
	}
}

func TestObjectsAreWrittenOnce(t *testing.T) {
	s := openDir(t)
	all := collectEvents(t, fleetEvents(1, 60, 8))
	e := mustWrite(t, s, rangeUpto(1000), all)
	before := listFiles(t, s)
	if again := mustWrite(t, s, rangeUpto(1000), all); !cmp.Equal(again, e) {
		t.Errorf("the same events again: got %+v, want %+v", again, e)
	}
	if diff := cmp.Diff(before, listFiles(t, s)); diff != "" {
		t.Errorf("the same events again changed files (-before +after):\n%s", diff)
	}
	if len(before) != len(e.Objects) {
		t.Errorf("there are %d files of %d objects: %v", len(before), len(e.Objects), before)
	}
	for _, o := range e.Objects {
		if !strings.Contains(o.Name, o.Hash[:32]+".parquet") || !strings.HasPrefix(o.Name, string(o.Kind)+"/007/1f-2e/") {
			t.Errorf("object of hash %s and kind %s has the name %s", o.Hash, o.Kind, o.Name)
		}
	}
}

// listFiles returns all files of a directory with their modification times.
func listFiles(t *testing.T, s *Store) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		all[path] = info.ModTime().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestList(t *testing.T) {
	s := openDir(t)
	written := mustWrite(t, s, rangeUpto(1000), collectEvents(t, fleetEvents(1, 60, 8)))
	e := mustMerge(t, s, []Entry{written})
	for _, o := range written.Objects { // the merge packs records better, and keeps the event table
		if !slices.Contains(e.Objects, o) {
			if err := s.Remove(t.Context(), o.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	stray := "records/007/1f-2e/x.parquet.17.tmp"
	if err := os.WriteFile(filepath.Join(s.dir, stray), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, o := range e.Objects {
		want = append(want, o.Name)
	}
	want = append(want, stray)
	if got := listNames(t, s, 7); !slices.Equal(got, sortNames(want)) {
		t.Errorf("got %q, want %q", got, sortNames(want))
	}
	if got := listNames(t, s, 8); len(got) != 0 {
		t.Errorf("of another partition: got %q, want nothing", got)
	}
	for _, name := range want {
		for range 2 {
			if err := s.Remove(t.Context(), name); err != nil {
				t.Error(err)
			}
		}
	}
	if got := listNames(t, s, 7); len(got) != 0 {
		t.Errorf("all removed: got %q, want nothing", got)
	}
	for _, name := range []string{"", "x", "../x", "records"} {
		if err := s.Remove(t.Context(), name); err == nil {
			t.Errorf("Remove(%q) works, want an error", name)
		}
	}
}

func sortNames(names []string) []string {
	slices.Sort(names)
	return names
}

func listNames(t *testing.T, s *Store, p events.Partition) (names []string) {
	t.Helper()
	for o, err := range s.List(t.Context(), p) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Bytes == 0 || o.ModifiedAt.IsZero() || !strings.HasPrefix(o.Name, string(o.Kind)+"/") {
			t.Errorf("got %+v", o)
		}
		names = append(names, o.Name)
	}
	return sortNames(names)
}

func TestWriteRefuses(t *testing.T) {
	s := openDir(t)
	all := collectEvents(t, fleetEvents(1, 3, 8))
	foreign := slices.Clone(all)
	foreign[1].Revision.Epoch++
	unsound := slices.Clone(all)
	unsound[1].Columns = nil
	failing := errors.New("the log is away")
	for name, test := range map[string]struct {
		r    Range
		evs  iter.Seq2[events.Event, error]
		want string
	}{
		"an empty range":   {rangeUpto(0), eventSeq(nil), "empty"},
		"late events":      {rangeUpto(2), eventSeq(all), "outside of the range"},
		"another log":      {rangeUpto(100), eventSeq(foreign), "outside of the range"},
		"disorder":         {rangeUpto(100), eventSeq([]events.Event{all[1], all[0]}), "out of order"},
		"an unsound event": {rangeUpto(100), eventSeq(unsound), "no records"},
		"a failing log":    {rangeUpto(100), func(yield func(events.Event, error) bool) { yield(events.Event{}, failing) }, failing.Error()},
		"a range of two":   {Range{Partition: 7, After: foreign[1].Revision, Upto: rangeUpto(100).Upto}, eventSeq(nil), "another log"},
	} {
		if e, err := s.Write(t.Context(), test.r, test.evs); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %+v, error %v, want an error about %q", name, e, err, test.want)
		}
	}
	if got := listFiles(t, s); len(got) != 0 {
		t.Errorf("what was refused left %v", got)
	}
}

// TestObjectsAreSmall holds the budget of bytes for a record.
func TestObjectsAreSmall(t *testing.T) {
	s := openDir(t)
	e, err := s.Write(t.Context(), rangeUpto(1<<40), fleetEvents(2, 2000, 2000))
	if err != nil {
		t.Fatal(err)
	}
	e = mustMerge(t, s, []Entry{e})
	if got := float64(e.Bytes()) / float64(e.Records); e.Records < 250_000 || got > 0.8 {
		t.Errorf("%d records take %.3f bytes each, rollups and event table included, want at most 0.8", e.Records, got)
	}
}

// A range that has enough ends with a whole revision, and the next one begins there; together they hold all events.
func TestARangeEndsWhereItHasEnough(t *testing.T) {
	s := openDir(t)
	all := collectEvents(t, fleetEvents(3, 40, 8))
	var got []events.Event
	last := all[len(all)-1].Revision
	r := Range{Partition: 7, Upto: last, EnoughRecords: 500}
	entries := 0
	for r.After != last {
		rest := slices.DeleteFunc(slices.Clone(all), func(ev events.Event) bool { return ev.Revision.Number <= r.After.Number })
		e, err := s.Write(t.Context(), r, eventSeq(rest))
		if err != nil {
			t.Fatal(err)
		}
		records := 0
		for _, ev := range rest {
			if ev.Revision.Number < e.Last.Number {
				records += ev.Records()
			}
		}
		if records >= 500 || e.Last != last && e.Records < 500 {
			t.Errorf("an entry up to %s of %s has %d records, %d of them before its last revision", e.Last, last, e.Records, records)
		}
		for ev, err := range s.Read(t.Context(), e, events.Revision{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ev)
		}
		r.After = e.Last
		entries++
	}
	if entries < 3 || len(got) != len(all) {
		t.Errorf("%d entries hold %d events of %d", entries, len(got), len(all))
	}
	few, err := s.Write(t.Context(), Range{Partition: 7, Upto: last, EnoughEvents: 2}, eventSeq(all))
	if err != nil || few.Events < 2 || few.Last.Number != all[few.Events-1].Revision.Number {
		t.Errorf("with two events enough there are %d up to %s: %v", few.Events, few.Last, err)
	}
}
