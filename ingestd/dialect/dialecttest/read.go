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
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Worker parses rows for one goroutine.
type Worker interface {
	Parse(row *rows.Row, out *dialect.Parsed)
}

// Dialect is a dialect under test.
type Dialect struct {
	Match func(header [][]byte) bool
	Open  func(header [][]byte, opt dialect.Options) (func() Worker, error)
}

// Record is a record with its host, on memory of its own.
type Record struct {
	events.Record
	Host events.HostID
}

// Read is what a file gave.
type Read struct {
	Records     []Record
	Rejections  []rows.Rejection
	Warnings    []rows.Rejection
	Rows        int
	Absent      int
	ZoneAssumed bool
	Silent      []int // lines of rows that gave neither a record nor a rejection, which must not be
}

// Read parses a file with so many workers, whose turn it is by batch. The error refuses the file.
func (d Dialect) Read(r io.Reader, opt dialect.Options, scan rows.Options, workers int) (*Read, error) {
	sc := rows.NewScanner(r, scan)
	header, ok, err := sc.Header(d.Match)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("the header does not match")
	}
	open, err := d.Open(header, opt)
	if err != nil {
		return nil, err
	}
	team := make([]Worker, workers)
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
		out.parse(team[turn%workers], &batch)
	}
}

func (o *Read) parse(w Worker, batch *rows.Batch) {
	var p dialect.Parsed
	for row := range batch.Rows() {
		records, rejections := len(p.Records), len(p.Rejections)
		w.Parse(row, &p)
		for _, r := range p.Records[records:] {
			r.Text = slices.Clone(r.Text)
			o.Records = append(o.Records, Record{r, p.Host})
		}
		if len(p.Records) == records && len(p.Rejections) == rejections {
			o.Silent = append(o.Silent, row.Line)
		}
		o.Rows++
		o.ZoneAssumed = o.ZoneAssumed || p.ZoneAssumed
	}
	o.Absent += p.Absent
	o.Rejections = append(o.Rejections, p.Rejections...)
	o.Warnings = append(o.Warnings, p.Warnings...)
}

// Sample reads a file of the collection of real inputs that lies beside the repository, or skips the test
// where it is missing.
func Sample(t testing.TB, name string) []byte {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(root, "go.mod")) {
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

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
