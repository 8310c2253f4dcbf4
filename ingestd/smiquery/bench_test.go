package smiquery_test

import (
	"bytes"
	"strings"
	"testing"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
	"telemetry-pipeline/ingestd/smiquery"
)

// BenchmarkParse reads rows of twelve columns, a quarter of them absent.
func BenchmarkParse(b *testing.B) {
	const header = "timestamp, name, uuid, index, utilization.gpu [%], utilization.memory [%], memory.used [MiB], power.draw [W], clocks.sm [MHz], fan.speed [%], pstate, power.min_limit [W]\n"
	const line = "2026/07/03 22:11:09.763, NVIDIA H200, GPU-4c7e1b4e-0000-4444-8888-123456789abc, 0, 100 %, 7 %, 32362 MiB, 627.40 W, 1980 MHz, [N/A], P0, [N/A]\n"
	text := []byte(header + strings.Repeat(line, 10_000))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		sc := rows.NewScanner(bytes.NewReader(text), rows.Options{})
		g, f, ok, err := dialect.Detect(sc, []dialect.Grammar{smiquery.Grammar()}, dialect.Options{Host: "n1"})
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
		open, err := g.Open(f, dialect.Options{Host: "n1"})
		if err != nil {
			b.Fatal(err)
		}
		w, records := open(), 0
		var batch rows.Batch
		var out dialect.Parsed
		for sc.Next(&batch) == nil {
			out.Reset()
			for row := range batch.Rows() {
				w.Parse(row, &out)
			}
			records += len(out.Records)
		}
		if records != 80_000 {
			b.Fatalf("got %d records, want 80,000", records)
		}
	}
}
