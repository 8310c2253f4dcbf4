package grafana_test

import (
	"bytes"
	"fmt"
	"testing"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/grafana"
	"telemetry-pipeline/ingestd/rows"
)

// fleetTable returns an export of a panel: a column for each of the 8 GPUs of each host, a row per 15 s.
func fleetTable(hosts, times int) []byte {
	var b bytes.Buffer
	b.WriteString("Time")
	for i := range hosts * 8 {
		fmt.Fprintf(&b, `,"DCGM_FI_DEV_GPU_TEMP{DCGM_FI_DRIVER_VERSION=""535.129.03"", Hostname=""dgx-%03d"", UUID=""GPU-%08d-86f3-7a43-b711-4771313afc50"", `+
			`device=""nvidia%d"", gpu=""%d"", instance=""dgx-%03d:9400"", job=""dcgm"", modelName=""NVIDIA H100 80GB HBM3""}"`, i/8, i, i%8, i%8, i/8)
	}
	b.WriteByte('\n')
	for t := range times {
		fmt.Fprintf(&b, "%d", 1752871354000+15000*t)
		for i := range hosts * 8 {
			fmt.Fprintf(&b, ",%d", 30+(i*7+t)%50)
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func BenchmarkColumns(b *testing.B) {
	text := fleetTable(310, 100)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if got, want := readAll(b, text), 310*8*100; got != want {
			b.Fatalf("got %d records, want %d", got, want)
		}
	}
}

// TestFleet reads a table of 2,480 series, whose header is longer than any row may be otherwise.
func TestFleet(t *testing.T) {
	text := fleetTable(310, 3)
	if header := bytes.IndexByte(text, '\n'); header < 500_000 {
		t.Fatalf("the header has %d bytes, too few to show anything", header)
	}
	read, err := byColumns().Read(bytes.NewReader(text), dialect.Options{}, rows.Options{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	hosts := map[string]int{}
	for _, r := range read.Records {
		hosts[string(r.Host)]++
	}
	if len(read.Rejections) > 0 || len(hosts) != 310 || hosts["dgx-309"] != 3*8 || len(read.Records) != 310*8*3 {
		t.Errorf("got %d records of %d hosts, %d of the last, and rejections %v", len(read.Records), len(hosts), hosts["dgx-309"], read.Rejections)
	}
}

func readAll(b *testing.B, text []byte) (records int) {
	sc := rows.NewScanner(bytes.NewReader(text), rows.Options{})
	g, f, ok, err := dialect.Detect(sc, []dialect.Grammar{grafana.Columns()}, dialect.Options{})
	if !ok || err != nil {
		b.Fatal(ok, err)
	}
	open, err := g.Open(f, dialect.Options{})
	if err != nil {
		b.Fatal(err)
	}
	w := open()
	var batch rows.Batch
	var p dialect.Parsed
	for sc.Next(&batch) == nil {
		p.Reset()
		for row := range batch.Rows() {
			w.Parse(row, &p)
		}
		records += len(p.Records)
	}
	return records
}
