package metric_test

import (
	"testing"

	"telemetry-pipeline/events/metric"
)

// BenchmarkLookup resolves names of each kind of source, and two unknown names.
func BenchmarkLookup(b *testing.B) {
	names := []string{
		"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_SM_CLOCK_HERTZ", "DCGM_FI_PROF_DRAM_ACTIVE", "dcgm_gpu_temp", "gpu_utilization",
		"utilization.gpu [%]", "TMPTR", "clocks.current.graphics [MHz]", "DCGM_FI_DEV_NVLINK_THROUGHPUT_BYTES_PER_SECOND",
	}
	b.ReportAllocs()
	for i := range b.N {
		metric.Lookup(names[i%len(names)])
	}
}
