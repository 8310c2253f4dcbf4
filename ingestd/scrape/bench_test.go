package scrape_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// expositionText returns the exposition by dcgm-exporters of the given numbers of hosts, with eight GPUs each, and
// metrics.
func expositionText(hosts, metrics int) []byte {
	var text bytes.Buffer
	for m := range metrics {
		fmt.Fprintf(&text, "# HELP DCGM_FI_DEV_METRIC_%d A reading.\n# TYPE DCGM_FI_DEV_METRIC_%d gauge\n", m, m)
		for gpu := range 8 * hosts {
			fmt.Fprintf(&text, "DCGM_FI_DEV_METRIC_%d{gpu=\"%d\",UUID=\"GPU-604ac76c-d9cf-fef3-62e9-%012d\",pci_bus_id=\"00000000:0F:00.0\",device=\"nvidia%d\","+
				"modelName=\"NVIDIA H100 80GB HBM3\",Hostname=\"node-%d\",DCGM_FI_DRIVER_VERSION=\"535.129.03\",container=\"\",namespace=\"\",pod=\"\"} %d.%03d\n",
				m, gpu%8, gpu, gpu%8, gpu/8, gpu*m, gpu)
		}
	}
	return text.Bytes()
}

// BenchmarkParse reads the scrape of 32 hosts by one worker.
func BenchmarkParse(b *testing.B) {
	text := expositionText(32, 25)
	opt := dialect.Options{At: time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)}
	d := promDialect()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	lines := 0
	for b.Loop() {
		sc := rows.NewScanner(bytes.NewReader(text), rows.Options{})
		_, f, ok, err := dialect.Detect(sc, []dialect.Grammar{d.Grammar}, opt)
		if err != nil || !ok {
			b.Fatalf("got %v, %v", ok, err)
		}
		open, err := d.Open(f, opt)
		if err != nil {
			b.Fatal(err)
		}
		worker := open()
		var batch rows.Batch
		var out dialect.Parsed
		for {
			if err := sc.Next(&batch); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			out.Reset()
			for row := range batch.Rows() {
				worker.Parse(row, &out)
				lines++
			}
			if len(out.Rejections) > 0 {
				b.Fatal(out.Rejections[0])
			}
		}
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}
