package pipeline

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// dcgmExport returns an export of DCGM's exporter, with its labels again in a column of their own.
func dcgmExport(gpus, times int) []byte {
	var text bytes.Buffer
	text.WriteString("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n")
	names := []string{"GPU_UTIL", "MEM_COPY_UTIL", "POWER_USAGE", "GPU_TEMP", "FB_USED", "FB_FREE", "DEC_UTIL", "ENC_UTIL", "SM_CLOCK", "MEM_CLOCK"}
	start := time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)
	for i := range times {
		at := start.Add(time.Duration(i) * 15 * time.Second).Format(time.RFC3339)
		for _, name := range names {
			for gpu := range gpus {
				fmt.Fprintf(&text, `"%s","DCGM_FI_DEV_%s","%d","nvidia%d","GPU-5fd4f087-86f3-7a43-b711-%012d","NVIDIA H100 80GB HBM3","rack1-dgx1-hgpu-%03d","","","","%d.%03d","DCGM_FI_DRIVER_VERSION=""535.129.03"",Hostname=""rack1-dgx1-hgpu-%03d"",UUID=""GPU-5fd4f087-86f3-7a43-b711-%012d"",__name__=""DCGM_FI_DEV_%s"",device=""nvidia%d"",gpu=""%d"",instance=""rack1-dgx1-hgpu-%03d:9400"",job=""dgx_dcgm_exporter"",modelName=""NVIDIA H100 80GB HBM3"""`+"\n",
					at, name, gpu%8, gpu%8, gpu, gpu/8, (gpu*7+i)%100, gpu%1000, gpu/8, gpu, name, gpu%8, gpu%8, gpu/8)
			}
		}
	}
	return text.Bytes()
}

// BenchmarkExport measures how long a large export takes from its bytes to events that are ready to append.
func BenchmarkExport(b *testing.B) {
	text := dcgmExport(247, 100)
	b.SetBytes(int64(len(text)))
	var records int64
	for b.Loop() {
		log := pipelinetest.NewRecorderOf(events.CutRules{})
		processor := processorOf(pipelinetest.DiscardingLog{Recorder: log}, runtime.GOMAXPROCS(0), 30*time.Second)
		p, err := ParseParameters(nil, "UTC", time.Now())
		if err != nil {
			b.Fatal(err)
		}
		rec := answer.NewReceipt()
		body := intake.NewBody(nil, 0, func(time.Time) error { return nil }, intake.Config{})
		if _, err := processor.ProcessFile(b.Context(), intake.NewFile("", bytes.NewReader(text), body.StopReading), p, rec); err != nil {
			b.Fatal(err)
		}
		records += rec.RecordCount
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
