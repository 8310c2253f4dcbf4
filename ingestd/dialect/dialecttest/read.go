package dialecttest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Dialect is a dialect under test.
type Dialect struct {
	dialect.Grammar
	Named   bool   // as if by ?dialect=: in form rows.Lines the text need not begin like the dialect's
	OfHosts bool   // it has readings of a host itself, which name no GPU
	Cases   string // the directory of its cases below testdata, where the package has several dialects
}

// Record is a record with its host, in memory of its own.
type Record struct {
	events.Record
	Host events.HostID
}

// Read is the result of reading a file.
type Read struct {
	Records     []Record
	Rejections  []rows.Rejection
	Warnings    []rows.Rejection
	Rows        int
	Absent      int
	Skipped     int
	ZoneAssumed bool
	Lost        int   // records outside of every run, though their row has runs. It must be 0
	Silent      []int // lines of rows without a record or a rejection that were not skipped. It must be empty
}

// Read parses a file with the given number of workers, which take batches in turn; a serial dialect has one worker.
// The error refuses the file.
func (d Dialect) Read(r io.Reader, opt dialect.Options, scan rows.Options, workers int) (*Read, error) {
	sc := rows.NewScanner(r, scan)
	f, ok, err := d.readBeginning(sc, opt)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("the text does not begin like one of this dialect")
	}
	open, err := d.Open(f, opt)
	if err != nil {
		return nil, err
	}
	if d.Serial {
		workers = 1
	}
	team := make([]dialect.Worker, workers)
	for i := range team {
		team[i] = open()
	}
	var out Read
	var batch rows.Batch
	for turn := 0; ; turn++ {
		if err := sc.Next(&batch); err == io.EOF {
			return &out, nil
		} else if err != nil {
			return nil, err
		}
		out.parseBatch(team[turn%workers], &batch)
	}
}

func (d Dialect) readBeginning(sc *rows.Scanner, opt dialect.Options) (dialect.File, bool, error) {
	if d.Named {
		return d.Prepare(sc, opt)
	}
	_, f, ok, err := dialect.Detect(sc, []dialect.Grammar{d.Grammar}, opt)
	return f, ok, err
}

func (o *Read) parseBatch(w dialect.Worker, batch *rows.Batch) {
	var p dialect.Parsed
	for row := range batch.Rows() {
		records, rejections, skipped := len(p.Records), len(p.Rejections), p.Skipped
		w.Parse(row, &p)
		o.addRecords(p.Records[records:], p.Host, p.Runs)
		if len(p.Records) == records && len(p.Rejections) == rejections && p.Skipped == skipped {
			o.Silent = append(o.Silent, row.Line)
		}
		o.Rows++
		o.ZoneAssumed = o.ZoneAssumed || p.ZoneAssumed
	}
	o.Absent += p.Absent
	o.Skipped += p.Skipped
	o.Rejections = append(o.Rejections, p.Rejections...)
	o.Warnings = append(o.Warnings, p.Warnings...)
}

// addRecords adds a row's records, each with its host.
func (o *Read) addRecords(records []events.Record, host events.HostID, runs []dialect.Run) {
	if len(runs) == 0 {
		runs = []dialect.Run{{Host: host, Records: len(records)}}
	}
	for _, run := range runs {
		for _, r := range records[:run.Records] {
			r.Text = slices.Clone(r.Text)
			o.Records = append(o.Records, Record{r, run.Host})
		}
		records = records[run.Records:]
	}
	o.Lost += len(records)
}

// Sample returns a file of the collection of real inputs beside the repository, or skips the test if it is missing.
func Sample(t testing.TB, name string) []byte {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for !fileExists(filepath.Join(root, "go.mod")) {
		if root == filepath.Dir(root) {
			t.Fatal("no go.mod above the test's directory")
		}
		root = filepath.Dir(root)
	}
	text, err := os.ReadFile(filepath.Join(root, "..", "shared", "data", name))
	if err != nil {
		t.Skipf("sample %s missing: %v", name, err)
	}
	return bytes.Clone(text)
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Metric returns the metric that a query for the record's metric looks for. It must be the record's metric, or no
// query finds it.
func Metric(r Record) string {
	m, _, _ := metric.Lookup(r.Metric)
	return m.Name
}
