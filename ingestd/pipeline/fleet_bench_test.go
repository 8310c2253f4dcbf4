package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

var fleetMetrics = []string{"GPU_UTIL", "MEM_COPY_UTIL", "POWER_USAGE", "GPU_TEMP", "FB_USED", "FB_FREE", "DEC_UTIL", "ENC_UTIL", "SM_CLOCK", "MEM_CLOCK"}

// benchUUID returns the UUID of a GPU of a fleet, which has as few repeats as a real one.
func benchUUID(fleet, gpu int) string {
	x := uint64(fleet<<32+gpu+1) * 0x9E3779B97F4A7C15
	return fmt.Sprintf("GPU-%08x-%04x-%04x-%04x-%012x", uint32(x), x>>33&0xffff, x>>45&0xffff, x>>7&0xffff, x*0xBF58476D1CE4E5B9>>16)
}

// leanReport returns one report of a fleet in the long form with few columns, metric by metric, so that the readings of a
// host are far apart.
func leanReport(fleet, gpus int) []byte {
	var text bytes.Buffer
	text.WriteString("timestamp,metric_name,gpu_id,uuid,modelName,Hostname,value\n")
	for _, name := range fleetMetrics {
		for gpu := range gpus {
			fmt.Fprintf(&text, "2025-07-18T20:42:34Z,DCGM_FI_DEV_%s,%d,%s,NVIDIA H100 80GB HBM3,rack%d-hgpu-%05d,%d.%03d\n",
				name, gpu%8, benchUUID(fleet, gpu), fleet, gpu/8, gpu*7%100, gpu%1000)
		}
	}
	return text.Bytes()
}

// newScrapes returns scrapes of every host of a fleet, one behind the other, each at several times.
func newScrapes(fleet, gpus, times int) []byte {
	var text bytes.Buffer
	for i := range times {
		for first := 0; first < gpus; first += 8 {
			for _, name := range fleetMetrics {
				fmt.Fprintf(&text, "# TYPE DCGM_FI_DEV_%s gauge\n", name)
				for gpu := first; gpu < first+8; gpu++ {
					fmt.Fprintf(&text, "DCGM_FI_DEV_%s{gpu=\"%d\",UUID=\"%s\",device=\"nvidia%d\",modelName=\"NVIDIA H100 80GB HBM3\",Hostname=\"rack%d-hgpu-%05d\",DCGM_FI_DRIVER_VERSION=\"535.129.03\"} %d %d\n",
						name, gpu%8, benchUUID(fleet, gpu), gpu%8, fleet, gpu/8, (gpu*7+i)%100, 1752871354000+1000*i)
				}
			}
		}
	}
	return text.Bytes()
}

// countingLog encodes events and keeps their number and bytes.
type countingLog struct {
	pipelinetest.DiscardingLog
	codec         *events.Codec
	events, bytes *int64
}

func (l countingLog) Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	for i := range evs {
		value, err := l.codec.Encode(nil, &evs[i])
		if err != nil {
			return nil, err
		}
		*l.events++
		*l.bytes += int64(len(value))
	}
	return l.DiscardingLog.Append(ctx, evs)
}

// BenchmarkNewFleet measures files of GPUs that were never seen, from their bytes to encoded events.
func BenchmarkNewFleet(b *testing.B) {
	for _, file := range []struct {
		name string
		text func(fleet int) []byte
	}{
		{"report=50000", func(fleet int) []byte { return leanReport(fleet, 50_000) }},
		{"scrapes=10000x3", func(fleet int) []byte { return newScrapes(fleet, 10_000, 3) }},
	} {
		b.Run(file.name, func(b *testing.B) {
			codec, err := events.NewCodec()
			if err != nil {
				b.Fatal(err)
			}
			p, err := ParseParameters(nil, "UTC", time.Now())
			if err != nil {
				b.Fatal(err)
			}
			var records, cut, size int64
			log := countingLog{pipelinetest.DiscardingLog{Recorder: pipelinetest.NewRecorderOf(events.CutRules{})}, codec, &cut, &size}
			processor := processorOf(log, runtime.GOMAXPROCS(0), 30*time.Second)
			fleet := 0
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				fleet++
				text := file.text(fleet)
				b.StartTimer()
				rec := answer.NewReceipt()
				body := intake.NewBody(nil, 0, func(time.Time) error { return nil }, intake.Config{})
				if _, err := processor.ProcessFile(b.Context(), intake.NewFile("", bytes.NewReader(text), body.StopReading), p, rec); err != nil {
					b.Fatal(err)
				}
				records += rec.RecordCount
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
			b.ReportMetric(float64(size)/float64(records), "bytes/record")
			b.ReportMetric(float64(records)/float64(cut), "records/event")
		})
	}
}
