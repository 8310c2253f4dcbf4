package dialecttest

import (
	"bytes"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Fuzz runs any bytes through the dialect, beginning with the inputs of testdata. It checks that the dialect never
// panics, that each row ends in a record or a rejection or is skipped, that records are sound, and that the
// distribution of work makes no difference. The options of the inputs are fuzzed too.
func Fuzz(f *testing.F, d Dialect) {
	files, err := d.caseFiles()
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, input := caseOptions(f, archive)
		f.Add(input, string(archive.Comment))
		f.Add(input, "host: n1")
	}
	d.Named = true // otherwise most inputs would be refused at once
	f.Fuzz(func(t *testing.T, text []byte, comment string) {
		opt, err := parseOptions(comment)
		if err != nil {
			t.Skip("no options")
		}
		one, err := d.Read(bytes.NewReader(text), opt, rows.Options{}, 1)
		three, err3 := d.Read(bytes.NewReader(text), opt, rows.Options{BatchRows: 1}, 3)
		if err != nil {
			if err3 == nil || err3.Error() != err.Error() {
				t.Fatalf("got error %v by one worker, %v by three", err, err3)
			}
			return
		}
		if len(one.Silent) > 0 {
			t.Fatalf("line %d gave neither a record nor a rejection, and was not skipped", one.Silent[0])
		}
		if one.Lost > 0 {
			t.Fatalf("%d records have no host, though their rows have hosts", one.Lost)
		}
		for _, r := range one.Records {
			d.checkRecord(t, r)
		}
		if diff := gocmp.Diff(one, three); diff != "" {
			t.Fatalf("by one worker and by three (-one +three):\n%s", diff)
		}
		opt.Known = dialect.NewKnownOrigins()
		for range 2 {
			known, err := d.Read(bytes.NewReader(text), opt, rows.Options{}, 1)
			if diff := gocmp.Diff(one, known); diff != "" || err != nil {
				t.Fatalf("with origins known from before, error %v (-unknown +known):\n%s", err, diff)
			}
		}
		if d.Tails {
			whole := d
			whole.Tails = false
			if split, err := whole.Read(bytes.NewReader(text), opt, rows.Options{}, 1); err != nil || !gocmp.Equal(split, one) {
				t.Fatalf("rows with tails and rows split at once (-split +tails), error %v:\n%s", err, gocmp.Diff(split, one))
			}
		}
	})
}

func (d Dialect) checkRecord(t *testing.T, r Record) {
	t.Helper()
	switch back, err := events.ParseNumber(r.Value.Number.String()); {
	case r.Host == "" || r.Metric == "" || r.Source == "":
		t.Fatalf("a record without host, metric or source: %s", formatRecord(r))
	case r.Identity.Entity(r.Host) == events.Entity{} && !d.OfHosts:
		t.Fatalf("a record of nothing: %s", formatRecord(r))
	case Metric(r) != r.Metric:
		t.Fatalf("a query for the metric is one for %s: %s", Metric(r), formatRecord(r))
	case r.At.Time().Year() < 2010:
		t.Fatalf("a record from before 2010: %s", formatRecord(r))
	case err != nil || back != r.Value.Number:
		t.Fatalf("a number that is not normalised: %+v", r.Value.Number)
	case r.Value.Absent != events.Present && r.Value.Number != (events.Number{}):
		t.Fatalf("an absent reading with a number: %s", formatRecord(r))
	}
}
