package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/projections"
)

// rig is a processor with small bounds and its log.
type rig struct {
	*Processor
	log *pipelinetest.Recorder
}

func newRig(cfg bounds.Config) *rig {
	log := pipelinetest.NewRecorder()
	return &rig{newProcessor(cfg, log, nil), log}
}

func newProcessor(cfg bounds.Config, log appender, stored hostReader) *Processor {
	limits := intake.Limits{}.WithDefaults()
	return New(Config{
		Workers: 2, MemoryBytes: 4 << 20, AppendTimeout: 30 * time.Second,
		Limits: limits, Streams: intake.Streams{}.WithDefaults(), Unpacking: limits.Unpacking(), Bounds: cfg,
	}, log, stored, openThrottle{}, func(float64) {}, nil)
}

// send uploads a file and returns its receipt.
func (r *rig) send(t *testing.T, text string, query map[string]string) (*answer.Receipt, error) {
	t.Helper()
	p, err := ParseParameters(query, "UTC", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rec := answer.NewReceipt()
	b := intake.NewBody(nil, 0, func(time.Time) error { return nil }, intake.Config{})
	_, err = r.ProcessFile(t.Context(), intake.NewFile("", strings.NewReader(text), b.StopReading), p, rec)
	return rec, err
}

// reasons returns the rejections of a receipt: line, text and the reason's first word.
func reasons(rec *answer.Receipt) string {
	var all []string
	for _, f := range rec.Errors {
		code, _, _ := strings.Cut(f.Reason, ":")
		all = append(all, fmt.Sprintf("%d %s %s", f.Line, f.Text, code))
	}
	return strings.Join(all, ", ")
}

// row is a row of a table with labels.
func row(host string, gpu int, metric, labels string, at string) string {
	return fmt.Sprintf("%s,%s,%d,%s,1,%s\n", at, metric, gpu, host, labels)
}

const (
	boundHeader = "timestamp,metric_name,gpu_id,Hostname,value,labels_raw\n"
	boundTime   = "2025-07-18T20:42:34Z"
)

// Each bound costs the records beyond it, and nothing else of the file.
func TestRecordsBeyondABoundAreRejected(t *testing.T) {
	temp := "DCGM_FI_DEV_GPU_TEMP"
	pid := func(n int, at string) string {
		return row("n1", 0, "used_gpu_memory", fmt.Sprintf(`"pid=""%d"""`, n), at)
	}
	instance := func(n int, at string) string {
		return row("n1", 0, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", fmt.Sprintf(`"GPU_I_ID=""%d"""`, n), at)
	}
	driver := func(gpu, version int) string {
		return row("n1", gpu, temp, fmt.Sprintf(`"DCGM_FI_DRIVER_VERSION=""%d"""`, version), boundTime)
	}
	for _, test := range []struct {
		name     string
		bounds   bounds.Config
		rows     []string // of 2 and the following lines
		rejected string
	}{
		{
			"hosts", bounds.Config{Hosts: 2},
			[]string{row("n1", 0, temp, "", boundTime), row("n2", 0, temp, "", boundTime), row("n3", 0, temp, "", boundTime), row("n1", 1, temp, "", boundTime), "bad\n", row("n3", 1, temp, "", boundTime)},
			"4 n3 too_many_hosts, 6 bad the row has 1 cell, the header has 6, 7 n3 too_many_hosts",
		},
		{
			"GPUs of a host", bounds.Config{GPUs: 2},
			[]string{row("n1", 0, temp, "", boundTime), row("n1", 1, temp, "", boundTime), row("n1", 2, temp, "", boundTime), row("n2", 2, temp, "", boundTime), row("n1", 1, "t", "", boundTime), row("n1", 2, "t", "", boundTime)},
			"4 n1:2 too_many_gpus, 7 n1:2 too_many_gpus",
		},
		{
			"metrics of a host", bounds.Config{HostMetrics: 2},
			[]string{row("n1", 0, "a", "", boundTime), row("n1", 0, "b", "", boundTime), row("n1", 0, "c", "", boundTime), row("n2", 0, "c", "", boundTime), row("n1", 1, "b", "", boundTime), row("n1", 1, "c", "", boundTime)},
			"4 c too_many_metrics, 7 c too_many_metrics",
		},
		{
			"metrics in all", bounds.Config{Metrics: 2},
			[]string{row("n1", 0, "a", "", boundTime), row("n2", 0, "b", "", boundTime), row("n3", 0, "c", "", boundTime), row("n4", 0, "b", "", boundTime)},
			"4 c too_many_metrics",
		},
		{
			"labels", bounds.Config{Labels: 2},
			[]string{row("n1", 0, temp, `"a=""1"",b=""2"""`, boundTime), row("n1", 0, temp, `"a=""1"",b=""2"",c=""3"""`, boundTime), row("n1", 0, temp, "", boundTime)},
			"3 c too_many_labels",
		},
		{
			"bytes of labels", bounds.Config{LabelBytes: 8},
			[]string{row("n1", 0, temp, `"a=""1234567"""`, boundTime), row("n1", 0, temp, `"a=""1"",b=""2345678"""`, boundTime), row("n1", 0, temp, "", boundTime)},
			"3 b labels_too_long",
		},
		{
			"parts of a GPU", bounds.Config{Parts: 2},
			[]string{pid(1, boundTime), pid(2, boundTime), pid(3, boundTime), row("n1", 0, temp, "", boundTime), row("n1", 1, "used_gpu_memory", `"pid=""3"""`, boundTime), pid(1, "2025-07-18T20:42:35Z"), pid(3, boundTime)},
			"4 pid:3 too_many_parts, 8 pid:3 too_many_parts",
		},
		{
			"instances of a GPU, at any time", bounds.Config{Parts: 2},
			[]string{instance(1, "2025-07-18T20:42:34Z"), instance(2, "2025-07-18T20:43:34Z"), instance(3, "2025-07-18T20:44:34Z"), instance(2, "2025-07-18T20:45:34Z"), row("n1", 0, temp, "", boundTime)},
			"4 mig:3 too_many_parts",
		},
		{
			"values of a GPU's fields", bounds.Config{Values: 3},
			[]string{driver(0, 1), driver(0, 2), driver(0, 3), driver(1, 3), driver(1, 4), row("n1", 0, temp, "", boundTime), driver(0, 4)},
			"4 n1:0 too_many_values, 8 n1:0 too_many_values",
		},
		{
			"parts of other minutes", bounds.Config{Parts: 2},
			[]string{pid(1, "2025-07-18T20:42:34Z"), pid(2, "2025-07-18T20:43:34Z"), pid(3, "2025-07-18T20:44:34Z"), pid(4, "2025-07-18T20:44:35Z"), pid(5, "2025-07-18T20:44:36Z"), pid(1, "2025-07-18T20:44:37Z")},
			"6 pid:5 too_many_parts, 7 pid:1 too_many_parts",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(test.bounds)
			rec, err := r.send(t, boundHeader+strings.Join(test.rows, ""), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := reasons(rec)
			want := int64(len(test.rows) - len(rec.Errors))
			if got != test.rejected || rec.Accepted != want || rec.Rejected != int64(len(rec.Errors)) || rec.ErrorsTotal != rec.Rejected {
				t.Errorf("got rejections %q, %d accepted, %d rejected; want %q, %d accepted", got, rec.Accepted, rec.Rejected, test.rejected, want)
			}
			if stored := int64(storedRecords(t, r.log)); stored != want {
				t.Errorf("%d records are stored, want %d", stored, want)
			}
		})
	}
}

func storedRecords(t *testing.T, log *pipelinetest.Recorder) int {
	t.Helper()
	n := 0
	for _, e := range log.StoredEvents(t) {
		n += e.Records()
	}
	return n
}

// gpuFile returns a file with one reading of each of a host's GPUs.
func gpuFile(host string, from, to int) string {
	var b strings.Builder
	b.WriteString(boundHeader)
	for gpu := from; gpu < to; gpu++ {
		b.WriteString(row(host, gpu, "DCGM_FI_DEV_GPU_TEMP", "", boundTime))
	}
	return b.String()
}

// The GPUs of a host are counted over uploads, each of which is within the bound.
func TestBoundsHoldAcrossUploads(t *testing.T) {
	r := newRig(bounds.Config{})
	accepted, rejected := int64(0), int64(0)
	for i := range 20 {
		rec, err := r.send(t, gpuFile("n1", i*5000, (i+1)*5000), nil)
		if i < 4 != (err == nil) {
			t.Fatalf("upload %d: got error %v", i, err)
		}
		accepted, rejected = accepted+rec.Accepted, rejected+rec.Rejected
	}
	if accepted != 16_384 || rejected != 20*5000-16_384 || storedRecords(t, r.log) != 16_384 {
		t.Errorf("got %d accepted, %d rejected, %d stored; want 16384 accepted and stored", accepted, rejected, storedRecords(t, r.log))
	}
	if rec, err := r.send(t, gpuFile("n1", 0, 5000), nil); err != nil || rec.Duplicate != 5000 {
		t.Errorf("the first file again: got %d duplicates, error %v; want 5000", rec.Duplicate, err)
	}
	if rec, err := r.send(t, gpuFile("n2", 0, 5000), nil); err != nil || rec.Accepted != 5000 {
		t.Errorf("another host: got %d accepted, error %v; want 5000", rec.Accepted, err)
	}
}

// A process that was started again, and one beside another, count the GPUs that the log has of a host: each accepts only few beyond
// the bound.
func TestBoundsHoldAcrossProcesses(t *testing.T) {
	cfg := bounds.Config{GPUs: 2000}
	r := newRig(cfg)
	sendTo := func(p *Processor, from, to int) int64 {
		t.Helper()
		rec, _ := (&rig{p, r.log}).send(t, gpuFile("n1", from, to), nil) // the error of a file without usable rows
		return rec.Accepted
	}
	if n := sendTo(r.Processor, 0, 3000); n != 2000 {
		t.Fatalf("got %d GPUs, want 2000", n)
	}
	for i := range 3 {
		p := newProcessor(cfg, r.log, r.log)
		first, second := sendTo(p, (i+1)*10_000, (i+1)*10_000+3000), sendTo(p, (i+1)*10_000+5000, (i+1)*10_000+6000)
		if first > 256 || second > 0 {
			t.Errorf("process %d: got %d GPUs beyond the bound, then %d; want no more than 256, then none", i, first, second)
		}
	}
	a, b := newProcessor(cfg, r.log, r.log), newProcessor(cfg, r.log, r.log)
	total := int64(0)
	for i := range 30 {
		for side, p := range []*Processor{a, b} {
			from := (2*i + side) * 100
			rec, _ := (&rig{p, r.log}).send(t, gpuFile("n2", from, from+100), nil)
			total += rec.Accepted
		}
	}
	if total < 2000 || total > 2000+2*256 {
		t.Errorf("two processes accepted %d GPUs of a host, want 2000 and at most 256 more for each", total)
	}
}

// What a file brings too much of one GPU's fields is rejected, and the fold has room for the rest.
func TestAcceptedValuesCanBeFolded(t *testing.T) {
	r := newRig(bounds.Config{})
	for part := range 3 {
		var b strings.Builder
		b.WriteString(boundHeader)
		for version := part * 1000; version < (part+1)*1000; version++ {
			b.WriteString(row("n1", 0, "DCGM_FI_DEV_GPU_TEMP", fmt.Sprintf(`"DCGM_FI_DRIVER_VERSION=""%d"""`, version), boundTime))
		}
		if rec, err := r.send(t, b.String(), nil); part == 0 && (err != nil || rec.Rejected > 0) || part == 2 && rec.Accepted > 0 {
			t.Fatalf("file %d: got %d accepted, %d rejected, error %v", part, rec.Accepted, rec.Rejected, err)
		}
	}
	if n := storedRecords(t, r.log); n != 1023 {
		t.Errorf("%d records are stored, want 1023 drivers beside the index", n)
	}
	var h projections.Host
	for _, ev := range r.log.StoredEvents(t) {
		if refused := h.Apply(&ev).Refused; refused.Records > 0 {
			t.Fatalf("the fold refused %+v", refused)
		}
	}
}

// An upload that failed, a dry run, a strict upload that is refused and refused records take no room.
func TestOnlyAcceptedRecordsCount(t *testing.T) {
	r := newRig(bounds.Config{GPUs: 3, Hosts: 2, HostMetrics: 1, Metrics: 1})
	r.log.SetDown(true)
	if _, err := r.send(t, gpuFile("n1", 10, 13), nil); err == nil {
		t.Fatal("an upload to a log that is down succeeded")
	}
	r.log.SetDown(false)
	if rec, err := r.send(t, gpuFile("n1", 20, 23), map[string]string{"dry_run": "true"}); err != nil || rec.WouldAccept != 3 {
		t.Fatalf("dry run: got %d, error %v; want 3", rec.WouldAccept, err)
	}
	if rec, err := r.send(t, gpuFile("n1", 0, 2)+row("n1", 7, "other", "", boundTime)+row("n3", 7, "other", "", boundTime), nil); err != nil ||
		reasons(rec) != "4 other too_many_metrics, 5 other too_many_metrics" || rec.Accepted != 2 {
		t.Fatalf("got %d accepted, rejections %q, error %v", rec.Accepted, reasons(rec), err)
	}
	if rec, err := r.send(t, gpuFile("n1", 2, 4), map[string]string{"strict": "true", "dry_run": "true"}); err == nil || reasons(rec) != "3 n1:3 too_many_gpus" {
		t.Fatalf("strict: got rejections %q, error %v", reasons(rec), err)
	}
	if rec, err := r.send(t, gpuFile("n1", 2, 3), nil); err != nil || rec.Accepted != 1 {
		t.Errorf("the third GPU: got %d accepted, rejections %q, error %v", rec.Accepted, reasons(rec), err)
	}
	if rec, err := r.send(t, gpuFile("n2", 0, 3), nil); err != nil || rec.Accepted != 3 {
		t.Errorf("the second host: got %d accepted, rejections %q, error %v", rec.Accepted, reasons(rec), err)
	}
	if rec, err := r.send(t, gpuFile("n4", 0, 1), nil); err == nil || reasons(rec) != "2 n4 too_many_hosts" {
		t.Errorf("the third host: got rejections %q, error %v", reasons(rec), err)
	}
}

// A record that was refused and fits later is stored then: it is no duplicate of its event.
func TestRefusedRecordsAreStoredOnceTheyFit(t *testing.T) {
	r := newRig(bounds.Config{GPUs: 2})
	if rec, err := r.send(t, gpuFile("n1", 0, 3), nil); err != nil || rec.Accepted != 2 {
		t.Fatalf("got %d accepted, error %v; want 2", rec.Accepted, err)
	}
	r.Processor.ledger = bounds.NewLedger(bounds.Config{GPUs: 3}, nil)
	if _, err := r.send(t, gpuFile("n1", 0, 3), nil); err != nil {
		t.Fatal(err)
	}
	gpus := map[events.GPUID]bool{}
	for _, e := range r.log.StoredEvents(t) {
		for i := range e.Identities {
			gpus[e.Identities[i].Entity(e.Host).GPU] = true
		}
	}
	if len(gpus) != 3 {
		t.Errorf("%d GPUs are stored, want 3", len(gpus))
	}
}
