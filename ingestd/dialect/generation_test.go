package dialect_test

import (
	"testing"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

func TestGeneration(t *testing.T) {
	for _, test := range []struct {
		head, header, exporter string
		want                   metric.Generation
	}{
		{"x,\"DCGM_FI_DEV_FB_FREE_BYTES\",1\n", "", "", metric.Since49},
		{"dcgm_fi_dev_fb_free_bytes{gpu=\"0\"} 1\n", "", "", metric.Since49},
		{"", "DCGM_FI_DEV_ENC_UTIL_RATIO", "", metric.Since49},
		{"x,DCGM_FI_DEV_FB_FREE,1\nXDCGM_FI_DEV_FB_FREE_BYTES", "", "", metric.AnyGeneration},
		{"x,DCGM_FI_DEV_GPU_UTIL_RATIO,1\n", "", "", metric.AnyGeneration},
		{"x,DCGM_FI_DEV_FB_FREE_BYTES,1\n", "", "4.8.2", metric.Before49},
		{"x,DCGM_FI_DEV_FB_FREE,1\n", "", "4.9.0", metric.Since49},
	} {
		f := dialect.File{Head: []byte(test.head), Header: [][]byte{[]byte(test.header)}}
		if got := dialect.Generation(f, dialect.Options{Exporter: test.exporter}); got != test.want {
			t.Errorf("%+v: got %d", test, got)
		}
	}
}
