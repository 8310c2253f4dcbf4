package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// openThrottle lets everything pass.
type openThrottle struct{}

func (openThrottle) AwaitPass(context.Context) error { return nil }

func (openThrottle) MeasureAppend(_ []events.Event, _ int, do func() ([]eventlog.Appended, error)) ([]eventlog.Appended, error) {
	return do()
}

func (openThrottle) RestAfter(context.Context, time.Duration) error { return nil }

// processorOf returns a processor with the bounds that a server has by default.
func processorOf(log appender, workers int, appendTimeout time.Duration) *Processor {
	limits := intake.Limits{}.WithDefaults()
	cfg := Config{
		Workers: workers, MemoryBytes: 4 << 20, AppendTimeout: appendTimeout,
		Limits: limits, Streams: intake.Streams{}.WithDefaults(), Unpacking: limits.Unpacking(),
	}
	return New(cfg, log, nil, openThrottle{}, func(float64) {}, nil)
}

// processFile sends text through the pipeline as if it had come from a socket in the reader's chunks.
func processFile(t testing.TB, log *pipelinetest.Recorder, workers int, query map[string]string, text io.Reader) (*answer.Receipt, error) {
	t.Helper()
	p, err := ParseParameters(query, "UTC", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rec := answer.NewReceipt()
	b := intake.NewBody(nil, 0, func(time.Time) error { return nil }, intake.Config{})
	_, err = processorOf(log, workers, 30*time.Second).ProcessFile(t.Context(), intake.NewFile("", text, b.StopReading), p, rec)
	return rec, err
}

// splitReader reads in chunks of random size.
type splitReader struct {
	r   io.Reader
	rng *rand.Rand
	max int
}

func (s splitReader) Read(p []byte) (int, error) {
	return s.r.Read(p[:min(len(p), 1+s.rng.IntN(s.max))])
}

// wildFile returns a file with everything that a row can be: good, short, quoted over lines, blank, a header
// again, with a bad cell, of many hosts or few, with and without a zone.
func wildFile(rng *rand.Rand, rows int) []byte {
	var b bytes.Buffer
	ends := []string{"\n", "\r\n"}
	end := func() { b.WriteString(ends[rng.IntN(2)]) }
	header := strings.TrimSuffix(pipelinetest.DCGMHeader, "\n")
	b.WriteString(header)
	end()
	for i := range rows {
		host := fmt.Sprintf("host-%d", rng.IntN(1+rng.IntN(40)))
		at := fmt.Sprintf("2025-07-18T20:%02d:%02d", i/60%60, i%60)
		if rng.IntN(3) > 0 {
			at += "Z"
		}
		value := fmt.Sprint(rng.IntN(100))
		switch rng.IntN(30) {
		case 0:
			b.WriteString(header)
		case 1:
			fmt.Fprintf(&b, `"%s","DCGM_FI_DEV_GPU_UTIL","1"`, at)
		case 2:
		case 3:
			fmt.Fprintf(&b, `"%s","DCGM_FI_DEV_GPU_UTIL","1","nvidia1","GPU-x","H100","%s","a%sb","","","%s",""`, at, host, "\n", value)
		case 4:
			fmt.Fprintf(&b, `"%s","DCGM_FI_DEV_GPU_UTIL","1","nvidia1","GPU-x","H100","%s","","","","much",""`, at, host)
		case 5:
			fmt.Fprintf(&b, `"%s","DCGM_FI_DEV_GPU_UTIL","1","nvidia1","GPU-x","H100","%s","","","","",""`, at, host)
		default:
			gpu := rng.IntN(8)
			fmt.Fprintf(&b, `"%s","DCGM_FI_DEV_GPU_TEMP","%d","nvidia%d","GPU-%s-%d","H100","%s","","","","%s","job=""dcgm"""`, at, gpu, gpu, host, gpu, host, value)
		}
		end()
	}
	return b.Bytes()
}

// The events of a file, and its receipt, depend on its content alone.
func TestChunksAndWorkersDoNotChangeTheEvents(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 6 {
		text := wildFile(rng, 200+rng.IntN(3000))
		log := pipelinetest.NewRecorder()
		wantReceipt, err := processFile(t, log, 1, nil, bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		want := log.StoredEvents(t)
		if len(want) < 10 || wantReceipt.Rejected == 0 || wantReceipt.Absent == 0 || wantReceipt.Metadata.Zone == "" {
			t.Fatalf("round %d tests too little: %d events, %+v", round, len(want), wantReceipt)
		}
		readers := map[string]func() io.Reader{
			"whole":       func() io.Reader { return bytes.NewReader(text) },
			"small":       func() io.Reader { return splitReader{bytes.NewReader(text), rng, 50} },
			"large":       func() io.Reader { return splitReader{bytes.NewReader(text), rng, 100_000} },
			"single byte": func() io.Reader { return iotest.OneByteReader(bytes.NewReader(text)) },
			"data at EOF": func() io.Reader { return iotest.DataErrReader(bytes.NewReader(text)) },
		}
		for name, reader := range readers {
			workers := 1 + rng.IntN(8)
			got := pipelinetest.NewRecorder()
			rec, err := processFile(t, got, workers, nil, reader())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.StoredEvents(t)); diff != "" {
				t.Fatalf("round %d, %s reads, %d workers: events differ (-want +got):\n%s", round, name, workers, diff)
			}
			if diff := cmp.Diff(comparableReceipt(wantReceipt), comparableReceipt(rec), cmp.AllowUnexported(answer.Receipt{})); diff != "" {
				t.Fatalf("round %d, %s reads, %d workers: receipts differ (-want +got):\n%s", round, name, workers, diff)
			}
		}
	}
}

// comparableReceipt returns a receipt without the fields that differ between two uploads of one file.
func comparableReceipt(r *answer.Receipt) answer.Receipt {
	c := *r
	c.FileID, c.UploadedAt, c.ProcessedAt, c.Revision = "", time.Time{}, time.Time{}, ""
	return c
}

// A file that breaks off stores only events that the whole file has too, and sending it again adds the rest.
func TestBrokenUploadIsCompletedBySendingItAgain(t *testing.T) {
	text := pipelinetest.DCGMFile(2000, 3)
	log := pipelinetest.NewRecorder()
	if _, err := processFile(t, log, 2, nil, bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	whole := log.StoredEvents(t)
	for _, at := range []int{len(text) / 3, len(text) / 2, len(text) - 1} {
		log := pipelinetest.NewRecorder()
		broken := io.MultiReader(bytes.NewReader(text[:at]), iotest.ErrReader(io.ErrUnexpectedEOF))
		rec, err := processFile(t, log, 2, nil, broken)
		if err == nil {
			t.Fatal("a broken file gave no error")
		}
		for key, e := range log.StoredEvents(t) {
			if diff := cmp.Diff(whole[key], e); diff != "" {
				t.Fatalf("broken at %d: an event is not of the whole file:\n%s", at, diff)
			}
		}
		stored := rec.Accepted
		if stored == 0 {
			t.Errorf("broken at %d: nothing was stored", at)
		}
		again, err := processFile(t, log, 2, nil, bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if again.Duplicate != stored || again.Accepted != 2000-stored {
			t.Errorf("broken at %d after %d records: again gave %d accepted, %d duplicate", at, stored, again.Accepted, again.Duplicate)
		}
		if diff := cmp.Diff(whole, log.StoredEvents(t)); diff != "" {
			t.Errorf("broken at %d and sent again: events differ (-want +got):\n%s", at, diff)
		}
	}
}

func TestRepeatsWithinAFileAreDuplicates(t *testing.T) {
	text := []byte(pipelinetest.DCGMHeader + strings.Repeat(`"2025-07-18T20:00:00Z","DCGM_FI_DEV_GPU_UTIL","0","nvidia0","GPU-1","H100","host-1","","","","7",""`+"\n", 3))
	rec, err := processFile(t, pipelinetest.NewRecorder(), 2, nil, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if rec.RecordCount != 3 || rec.Accepted != 1 || rec.Duplicate != 2 {
		t.Errorf("got %d records, %d accepted, %d duplicate; want 3, 1, 2", rec.RecordCount, rec.Accepted, rec.Duplicate)
	}
}

func TestLongLineCostsItselfOnly(t *testing.T) {
	text := string(pipelinetest.DCGMFile(1, 1)) + strings.Repeat("x", 300<<10) + "\n" +
		strings.TrimPrefix(string(pipelinetest.DCGMFile(2, 2)), pipelinetest.DCGMHeader)
	rec, err := processFile(t, pipelinetest.NewRecorder(), 2, nil, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if rec.Metadata.Rows != 4 || rec.Rejected != 1 || rec.Errors[0].Line != 3 || len(rec.Errors[0].Text) > 200 {
		t.Errorf("got %d rows, %d rejected, errors %+v; want 4 rows, line 3 rejected", rec.Metadata.Rows, rec.Rejected, rec.Errors)
	}
}

func TestErrorsAreListedUpToABound(t *testing.T) {
	text := pipelinetest.DCGMFile(1, 1)
	for range 5000 {
		text = append(text, "short,row\n"...)
	}
	rec, err := processFile(t, pipelinetest.NewRecorder(), 3, nil, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.Errors) != 100 || rec.ErrorsTotal != 5000 || rec.Rejected != 5000 || rec.Errors[99].Line != 102 {
		t.Errorf("got %d errors, the last in line %d, of %d; want 100, line 102, of 5000", len(rec.Errors), rec.Errors[len(rec.Errors)-1].Line, rec.ErrorsTotal)
	}
}

func TestRealSample(t *testing.T) {
	text := dialecttest.Sample(t, "dcgm_metrics_20250718_134233.csv")
	log := pipelinetest.NewRecorderOf(events.CutRules{})
	for _, want := range []struct{ accepted, duplicate int64 }{{2470, 0}, {0, 2470}} {
		rec, err := processFile(t, log, 2, nil, bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if rec.Accepted != want.accepted || rec.Duplicate != want.duplicate || rec.Rejected != 0 || rec.Absent != 0 || len(rec.Warnings) != 0 {
			t.Errorf("got %d accepted, %d duplicate, %d rejected, %d absent, warnings %q; want %d, %d, none",
				rec.Accepted, rec.Duplicate, rec.Rejected, rec.Absent, rec.Warnings, want.accepted, want.duplicate)
		}
	}
	if got := len(log.StoredEvents(t)); got != 31 {
		t.Errorf("got %d events, want one for each of 31 hosts", got)
	}
}

func TestRealWideSample(t *testing.T) {
	rec, err := processFile(t, pipelinetest.NewRecorder(), 2, nil, bytes.NewReader(dialecttest.Sample(t, "wide_minimal.csv")))
	if err != nil {
		t.Fatal(err)
	}
	if rec.Accepted != 16 || rec.Metadata.Zone != "UTC" {
		t.Errorf("got %d accepted, zone %q; want 16, UTC", rec.Accepted, rec.Metadata.Zone)
	}
}

func TestOtherRealFilesAreRefused(t *testing.T) {
	for _, name := range []string{"dcgm-default-counters.csv", "grafana/dcgm-exporter-dashboard.json"} {
		rec, err := processFile(t, pipelinetest.NewRecorder(), 2, nil, bytes.NewReader(dialecttest.Sample(t, name)))
		if r, ok := err.(*answer.Refusal); !ok || r.Code != answer.CodeNotTelemetry {
			t.Errorf("%s: got %v, %+v; want it refused as no telemetry", name, err, rec)
		}
	}
}

// BenchmarkUpload measures rows per second through the pipeline and the peak of the heap, which is the same
// for a file ten times as large.
func BenchmarkUpload(b *testing.B) {
	block := pipelinetest.DCGMFile(20_000, 31)
	for _, size := range []int64{20 << 20, 200 << 20} {
		b.Run(fmt.Sprintf("%dMiB", size>>20), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				peak := pipelinetest.PeakHeap(func() {
					log := pipelinetest.NewRecorderOf(events.CutRules{})
					processor := processorOf(pipelinetest.DiscardingLog{Recorder: log}, runtime.GOMAXPROCS(0), 30*time.Second)
					p, err := ParseParameters(nil, "UTC", time.Now())
					if err != nil {
						b.Fatal(err)
					}
					body := intake.NewBody(nil, 0, func(time.Time) error { return nil }, intake.Config{})
					if _, err := processor.ProcessFile(b.Context(), intake.NewFile("", &pipelinetest.EndlessFile{Block: block, Left: size}, body.StopReading), p, answer.NewReceipt()); err != nil {
						b.Fatal(err)
					}
				})
				b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
			}
		})
	}
}
