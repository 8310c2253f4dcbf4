package dcgmlong_test

import (
	"bytes"
	"fmt"
	"testing"

	"telemetry-pipeline/ingestd/dcgmlong"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// exportText returns an export in blocks of one metric, each over all GPUs, like the files of exporters.
func exportText(gpus, times int) []byte {
	var text bytes.Buffer
	text.WriteString("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n")
	for second := range times {
		for _, name := range []string{"GPU_UTIL", "MEM_COPY_UTIL", "POWER_USAGE", "GPU_TEMP", "FB_USED", "FB_FREE", "DEC_UTIL", "ENC_UTIL", "SM_CLOCK", "MEM_CLOCK"} {
			for gpu := range gpus {
				fmt.Fprintf(&text, `"2025-07-18T20:42:%02dZ","DCGM_FI_DEV_%s","%d","nvidia%d","GPU-5fd4f087-86f3-7a43-b711-%012d","NVIDIA H100 80GB HBM3","rack1-dgx1-hgpu-%03d","","","","%d.%03d","DCGM_FI_DRIVER_VERSION=""535.129.03"",Hostname=""rack1-dgx1-hgpu-%03d"",UUID=""GPU-5fd4f087-86f3-7a43-b711-%012d"",__name__=""DCGM_FI_DEV_%s"",device=""nvidia%d"",gpu=""%d"",instance=""rack1-dgx1-hgpu-%03d:9400"",job=""dgx_dcgm_exporter"",modelName=""NVIDIA H100 80GB HBM3"""`+"\n",
					second%60, name, gpu%8, gpu%8, gpu, gpu/8, (gpu*7+second)%100, gpu%1000, gpu/8, gpu, name, gpu%8, gpu%8, gpu/8)
			}
		}
	}
	return text.Bytes()
}

func BenchmarkFile(b *testing.B) {
	for name, gpus := range map[string]int{"247 GPUs": 247, "10000 GPUs": 10_000} {
		text := exportText(gpus, max(1, 2470/gpus))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			count := 0
			var batch rows.Batch
			var out dialect.Parsed
			for b.Loop() {
				sc := rows.NewScanner(bytes.NewReader(text), rows.Options{})
				header, _, err := sc.Header(dcgmlong.Match)
				if err != nil {
					b.Fatal(err)
				}
				p, err := dcgmlong.New(dialect.File{Header: header}, dialect.Options{})
				if err != nil {
					b.Fatal(err)
				}
				w := p.Worker()
				for sc.Next(&batch) == nil {
					out.Reset()
					for row := range batch.Rows() {
						w.Parse(row, &out)
					}
					count += len(out.Records)
				}
			}
			b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkScan(b *testing.B) {
	text := exportText(247, 10)
	b.SetBytes(int64(len(text)))
	count := 0
	var batch rows.Batch
	for b.Loop() {
		sc := rows.NewScanner(bytes.NewReader(text), rows.Options{})
		for sc.Next(&batch) == nil {
			for range batch.Rows() {
				count++
			}
		}
	}
	b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "rows/s")
}
