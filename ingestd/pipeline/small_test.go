package pipeline

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/ingestd/rows"
)

// takeIn takes a file in, in one goroutine or by a pipeline, and returns its receipt, the keys of its events and its error.
func takeIn(t *testing.T, text []byte, p Parameters, asSmall bool, memory *fileMemory) (answer.Receipt, []string, string) {
	t.Helper()
	log := pipelinetest.NewRecorder()
	c := processorOf(log, 3, time.Hour)
	f := intake.NewFile("", bytes.NewReader(text), nil)
	sc := rows.NewScanner(f, rows.Options{Memory: memory.head})
	file, err := detectDialect(sc, c.grammars, p)
	if err != nil {
		return answer.Receipt{}, nil, err.Error()
	}
	if !file.small {
		t.Fatalf("a file of %d bytes is not small", len(text))
	}
	rec := answer.NewReceipt()
	out := c.newSink(p.DryRun, asSmall)
	bound := c.ledger.Begin("")
	defer bound.Close(true)
	named, assumed := memory.startCutters(asSmall, log.Facts().Cut, rec.FileID, p.Zone)
	seq := newSequencer(named, assumed, out, bound)
	seq.strict, seq.maxRows = p.Strict, 1000
	if asSmall {
		err = runSmall(context.Background(), f, file, seq, out, &memory.batch)
		memory.head = sc.Memory()
	} else {
		err = c.runPipeline(context.Background(), f, file, seq, out)
	}
	fillReceipt(rec, seq, out.appendStats(), p.Zone)
	message := ""
	if err != nil {
		message = err.Error()
	}
	rec.FileID, rec.UploadedAt, rec.Revision = "", time.Time{}, ""
	return *rec, storedKeys(t, log), message
}

// storedKeys returns the keys of all events in a log.
func storedKeys(t *testing.T, log *pipelinetest.Recorder) []string {
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for p := range log.Facts().Partitions {
		for e, err := range log.Read(t.Context(), events.Partition(p), events.Revision{}, head) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, e.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// A small file has the same events, the same receipt and the same error in one goroutine as by a pipeline, also in memory that
// files of all kinds have used before.
func TestSmallFilesAreAsByAPipeline(t *testing.T) {
	cases, err := filepath.Glob("../*/testdata/*.txtar")
	if err != nil || len(cases) < 100 {
		t.Fatalf("got %d files of cases, error %v", len(cases), err)
	}
	memory := &fileMemory{}
	compared := 0
	compare := func(name string, text []byte, queries map[string]string) {
		p, err := ParseParameters(queries, "UTC", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		rec, keys, failed := takeIn(t, text, p, false, &fileMemory{})
		again, keysAgain, failedAgain := takeIn(t, text, p, true, memory)
		if diff := cmp.Diff(rec, again); diff != "" || failed != failedAgain || !slices.Equal(keys, keysAgain) {
			t.Errorf("%s, %v: %d events and %d, error %q and %q (-pipeline +small):\n%s", name, queries, len(keys), len(keysAgain), failed, failedAgain, diff)
		}
		compared += len(keys)
	}
	for _, name := range cases {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(archive.Files) == 0 || archive.Files[0].Name != "input" || len(archive.Files[0].Data) > 50<<10 {
			continue
		}
		text := archive.Files[0].Data
		for _, queries := range []map[string]string{nil, {"host": "n1", "ts": "2025-07-18T20:42:34Z"}, {"host": "n1", "dry_run": "true"}} {
			compare(name, text, queries)
		}
		if i := strings.LastIndexByte(string(text), '\n'); i > 0 {
			compare(name+" without its last line end", text[:i], nil)
		}
	}
	compare("many rows", pipelinetest.DCGMFile(400, 70), nil)
	compare("too many rows", append([]byte("timestamp,metric_name,gpu_id,Hostname,value\n"), bytes.Repeat([]byte("1752871354,m,0,n,1\n"), 1001)...), nil)
	if compared < 300 {
		t.Errorf("only %d events were compared", compared)
	}
}
