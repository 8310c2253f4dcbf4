package dialect_test

import (
	"testing"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// TestPartWithoutGPU reads the labels of dcgm-exporter for links, switches and CPUs.
func TestPartWithoutGPU(t *testing.T) {
	for labels, want := range map[string]string{
		`nvswitch="0"`:                                   "/nvswitch:0",
		`nvlink="3",nvswitch="nvswitch1"`:                "/nvswitch:1,nvlink:3",
		`cpu="1"`:                                        "/cpu:1",
		`cpucore="17",cpu="1"`:                           "/cpu:1,cpucore:17",
		`nvlink="3",nvswitch="0",gpu="0"`:                "n1:0/nvlink:3",
		`nvlink="3",gpu_uuid="GPU-1"`:                    "GPU-1/nvlink:3",
		`nvlink="3",gpu="",gpu_uuid="",nvswitch="0"`:     "/nvswitch:0,nvlink:3",
		`nvlink="3",nvswitch=""`:                         "no GPU",
		`gpu_uuid="GPU-00000000-0000",gpu="",cpu="cpu2"`: "/cpu:2",
	} {
		var s dialect.Source
		s.Labels([]byte(labels))
		o := dialect.NewOrigins(dialect.Options{Host: "n1"}, dialect.NewIdentities()).Learn(nil, &s)
		got := "no GPU"
		if o.Fault == nil {
			entity := o.For(metric.PerAny).Entity("n1")
			got = string(entity.GPU) + "/" + entity.Part
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", labels, got, want)
		}
	}
}
