package dialecttest

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Golden runs each of the dialect's testdata/*.txtar through the dialect: the file "input" must yield the others
// ("records", "rejections", "warnings", "skipped", or "refused"). To add a case, write a file with a comment and an
// input, run the test with -update, and read the files that it wrote.
//
// Lines of the comment such as "host: n1", "tz: Europe/Berlin" and "now: 2025-07-19T00:00:00Z" are options:
//
//	host, tz, columns, metric, ts, start, interval, exporter   options of the sender, as in the query string
//	now                                                        the receiver's time
//	lines: crlf                                                the input has the line ends of Windows
func Golden(t *testing.T, d Dialect) {
	files, err := d.caseFiles()
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, error %v; want some in testdata/%s", len(files), err, d.Cases)
	}
	known := dialect.NewKnownOrigins()
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runCase(t, d, file, known) })
	}
}

// unfindable returns the records that no query by the metric's name finds.
func unfindable(d Dialect, input []byte, opt dialect.Options) []Record {
	read, err := d.Read(bytes.NewReader(input), opt, rows.Options{}, 1)
	if err != nil {
		return nil // the file is refused, and tested to be
	}
	return slices.DeleteFunc(read.Records, func(r Record) bool { return Metric(r) == r.Metric })
}

// caseFiles returns the paths of the dialect's cases.
func (d Dialect) caseFiles() ([]string, error) {
	return filepath.Glob(filepath.Join("testdata", d.Cases, "*.txtar"))
}

func runCase(t *testing.T, d Dialect, file string, known *dialect.KnownOrigins) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files) == 0 || archive.Files[0].Name != "input" {
		t.Fatalf("%s has no file named input, or it is not the first", file)
	}
	opt, input := caseOptions(t, archive)
	archive.Files = append(archive.Files[:1:1], formatOutput(d, input, opt, rows.Options{}, 1)...)
	got := txtar.Format(archive)
	if update := flag.Lookup("update"); update != nil && update.Value.String() == "true" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
	for _, r := range unfindable(d, input, opt) {
		t.Errorf("%s: a query for the metric is one for %s: %s", file, Metric(r), formatRecord(r))
	}
	shared := formatOutput(d, input, opt, rows.Options{BatchRows: 1}, 3)
	if diff := gocmp.Diff(archive.Files[1:], shared, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s, by three workers in turn (-one +three):\n%s", file, diff)
	}
	opt.Known = known
	for range 2 {
		again := formatOutput(d, input, opt, rows.Options{}, 1)
		if diff := gocmp.Diff(archive.Files[1:], again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s, with the origins of other files known (-unknown +known):\n%s", file, diff)
		}
	}
}

// caseOptions returns the options and the input of a case.
func caseOptions(t testing.TB, archive *txtar.Archive) (dialect.Options, []byte) {
	t.Helper()
	comment, input := string(archive.Comment), archive.Files[0].Data
	opt, err := parseOptions(comment)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains("\n"+comment, "\nlines: crlf") {
		input = bytes.ReplaceAll(input, []byte("\n"), []byte("\r\n"))
	}
	return opt, input
}

func parseOptions(comment string) (dialect.Options, error) {
	var opt dialect.Options
	for line := range strings.Lines(comment) {
		var err error
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); name {
		case "host":
			opt.Host = value
		case "tz":
			opt.Zone, err = time.LoadLocation(value)
		case "now":
			opt.Now, err = time.Parse(time.RFC3339, value)
		case "columns":
			opt.Columns = dialect.SplitColumns(value)
		case "metric":
			opt.Metric = value
		case "ts":
			opt.At, err = time.Parse(time.RFC3339, value)
		case "start":
			opt.Start, err = time.Parse(time.RFC3339, value)
		case "interval":
			opt.Interval, err = time.ParseDuration(value)
		case "exporter":
			opt.Exporter = value
		}
		if err != nil {
			return opt, err
		}
	}
	return opt, nil
}

// formatOutput returns the results of a file, one text file per kind.
func formatOutput(d Dialect, input []byte, opt dialect.Options, scan rows.Options, workers int) []txtar.File {
	read, err := d.Read(bytes.NewReader(input), opt, scan, workers)
	if err != nil {
		return []txtar.File{{Name: "refused", Data: []byte(err.Error() + "\n")}}
	}
	var files []txtar.File
	add := func(name string, lines []string) {
		if len(lines) > 0 {
			files = append(files, txtar.File{Name: name, Data: []byte(strings.Join(lines, "\n") + "\n")})
		}
	}
	ids := map[events.IdentityID]int{}
	var records, identities []string
	for _, r := range read.Records {
		id := r.Identity.ID()
		if ids[id] == 0 {
			ids[id] = len(ids) + 1
			identities = append(identities, fmt.Sprintf("#%d %s", ids[id], formatIdentity(r.Identity)))
		}
		records = append(records, fmt.Sprintf("%s #%d", formatRecord(r), ids[id]))
	}
	add("records", records)
	add("identities", identities)
	add("rejections", formatRejections(read.Rejections))
	add("warnings", formatRejections(read.Warnings))
	if read.Skipped > 0 {
		add("skipped", []string{fmt.Sprint(read.Skipped)})
	}
	if read.ZoneAssumed {
		add("zone", []string{"assumed"})
	}
	return files
}

// formatRecord returns a record in one line.
func formatRecord(r Record) string {
	entity := r.Identity.Entity(r.Host)
	value := r.Value.Number.String()
	if r.Value.Absent != events.Present {
		value = fmt.Sprintf("%s(%q)", r.Value.Absent, r.Value.Raw)
	}
	source := ""
	if r.Source != r.Metric {
		source = " from " + r.Source
	}
	part := strings.TrimSuffix(string(entity.GPU)+"/"+entity.Part, "/")
	return fmt.Sprintf("%s %s %s %s=%s%s", r.At, r.Host, part, r.Metric, value, source)
}

func formatIdentity(id *events.Identity) string {
	var parts []string
	for _, field := range []struct{ name, value string }{
		{"uuid", id.UUID}, {"index", id.Index}, {"pci", id.PCI}, {"device", id.Device}, {"model", id.Model}, {"driver", id.Driver},
		{"mig", id.MIG}, {"profile", id.MIGProfile}, {"pod", id.Pod}, {"namespace", id.Namespace}, {"container", id.Container}, {"part", id.Part},
	} {
		if field.value != "" {
			parts = append(parts, fmt.Sprintf("%s=%q", field.name, field.value))
		}
	}
	return strings.Join(parts, " ") + string(dialect.AppendLabels([]byte(" {"), id.Labels)) + "}"
}

func formatRejections(all []rows.Rejection) []string {
	var lines []string
	for _, r := range all {
		lines = append(lines, fmt.Sprintf("line %d, %s %q: %s", r.Line, cmp.Or(r.Column, "row"), r.Text, r.Reason))
	}
	return lines
}
