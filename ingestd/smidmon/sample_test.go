package smidmon_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/rows"
)

// TestCaptures compares every cell of the real captures with a reading of the text that is independent of the parser:
// five samples of GPU 0, eleven readings each, except that the RTX 2080 on Windows has no mtemp.
func TestCaptures(t *testing.T) {
	fields := map[string]string{
		"pwr": "DCGM_FI_DEV_POWER_USAGE", "gtemp": "DCGM_FI_DEV_GPU_TEMP", "mtemp": "DCGM_FI_DEV_MEMORY_TEMP",
		"sm": "DCGM_FI_DEV_GPU_UTIL", "mem": "DCGM_FI_DEV_MEM_COPY_UTIL", "enc": "DCGM_FI_DEV_ENC_UTIL", "dec": "DCGM_FI_DEV_DEC_UTIL",
		"mclk": "DCGM_FI_DEV_MEM_CLOCK", "pclk": "DCGM_FI_DEV_SM_CLOCK", "jpg": "jpg", "ofa": "ofa",
	}
	start := time.Date(2026, 7, 3, 22, 11, 9, 0, time.UTC)
	for name, absent := range map[string]int{
		"h100-idle": 0, "h100-load": 0, "h200-idle": 0, "h200-load": 0, "rtx2080-windows-idle": 5, "rtx2080-windows-load": 5,
	} {
		t.Run(name, func(t *testing.T) {
			text := dialecttest.Sample(t, "nvidia-smi/"+name+"-dmon.txt")
			var want []string
			lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), "\r", "")), "\n")
			for n, line := range lines[2:] {
				for i, cell := range strings.Fields(line) {
					column := strings.Fields(lines[0])[i+1]
					if i > 0 {
						want = append(want, fmt.Sprintf("%s box:0 %s=%s", start.Add(time.Duration(n)*time.Second).Format(time.RFC3339), fields[column], cell))
					}
				}
			}
			read, err := dmonDialect().Read(bytes.NewReader(text), dialect.Options{Host: "box", Start: start}, rows.Options{}, 1)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range read.Records {
				value := r.Value.Number.String()
				if r.Value.Absent == events.NotSupported {
					value = r.Value.Raw
				}
				got = append(got, fmt.Sprintf("%s %s %s=%s", r.At, r.Identity.Entity(r.Host).GPU, r.Metric, value))
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" || len(want) != 55 {
				t.Errorf("%d cells (-want +got):\n%s", len(want), diff)
			}
			if read.Absent != absent || read.Skipped != 2 || len(read.Rejections)+len(read.Warnings) != 0 {
				t.Errorf("got %d absent, %d skipped, %v, %v; want %d, 2 and nothing else", read.Absent, read.Skipped, read.Rejections, read.Warnings, absent)
			}
		})
	}
}
