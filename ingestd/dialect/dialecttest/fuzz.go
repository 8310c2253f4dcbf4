package dialecttest

import (
	"bytes"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Fuzz runs any bytes through the dialect, beginning with the inputs of testdata. It never panics, each row
// ends in a record or a rejection, records are sound, and how the work is shared does not matter.
func Fuzz(f *testing.F, d Dialect) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data, "")
		f.Add(archive.Files[0].Data, "n1")
	}
	f.Fuzz(func(t *testing.T, text []byte, host string) {
		opt := dialect.Options{Host: host}
		one, err := d.Read(bytes.NewReader(text), opt, rows.Options{}, 1)
		three, err3 := d.Read(bytes.NewReader(text), opt, rows.Options{BatchRows: 1}, 3)
		if err != nil {
			if err3 == nil || err3.Error() != err.Error() {
				t.Fatalf("got error %v by one worker, %v by three", err, err3)
			}
			return
		}
		if len(one.Silent) > 0 {
			t.Fatalf("line %d gave neither a record nor a rejection", one.Silent[0])
		}
		for _, r := range one.Records {
			sound(t, r)
		}
		if diff := gocmp.Diff(one, three); diff != "" {
			t.Fatalf("by one worker and by three (-one +three):\n%s", diff)
		}
	})
}

func sound(t *testing.T, r Record) {
	t.Helper()
	switch back, err := events.ParseNumber(r.Value.Number.String()); {
	case r.Host == "" || r.Metric == "" || r.Source == "":
		t.Fatalf("a record without host, metric or source: %s", line(r))
	case r.Identity.Entity(r.Host).GPU == "":
		t.Fatalf("a record of no GPU: %s", line(r))
	case r.At.Time().Year() < 2010:
		t.Fatalf("a record from before 2010: %s", line(r))
	case err != nil || back != r.Value.Number:
		t.Fatalf("a number that is not normalised: %+v", r.Value.Number)
	case r.Value.Absent != events.Present && r.Value.Number != (events.Number{}):
		t.Fatalf("an absent reading with a number: %s", line(r))
	}
}
