package metric_test

import (
	"testing"

	"telemetry-pipeline/events/metric"
)

func TestGenerationOf(t *testing.T) {
	for version, want := range map[string]metric.Generation{
		"4.9.0": metric.Since49, "v4.9": metric.Since49, "4.10.1": metric.Since49, "5.0.0": metric.Since49, "4.7.0-4.9.0-ubi9": metric.Since49,
		"4.8.4": metric.Before49, "3.3.5-3.4.0-ubuntu22.04": metric.Before49, "4.5.3-4.8.2": metric.Before49, "1.7.2": metric.Before49,
	} {
		if got, err := metric.GenerationOf(version); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", version, got, err, want)
		}
	}
	for _, version := range []string{"", "4", "latest", "4.x", "4..9", "-"} {
		if got, err := metric.GenerationOf(version); err == nil {
			t.Errorf("%q: got %d, want an error", version, got)
		}
	}
}

func TestProves(t *testing.T) {
	for name, want := range map[string]metric.Generation{
		"DCGM_FI_DEV_MEMORY_UTIL_RATIO": metric.Since49, " dcgm_fi_dev_fb_used_bytes": metric.Since49,
		"DCGM_FI_DEV_SM_CLOCK_HERTZ": metric.AnyGeneration, // DCGM 4.6.1 has it
		"DCGM_FI_DEV_GPU_UTIL_RATIO": metric.AnyGeneration, "DCGM_FI_DEV_FB_USED_RATIO": metric.AnyGeneration,
		"DCGM_FI_DEV_GPU_UTIL": metric.AnyGeneration, "fb_used_bytes": metric.AnyGeneration,
	} {
		if got := metric.GenerationOfName(name); got != want {
			t.Errorf("%q: got %d, want %d", name, got, want)
		}
	}
}

// TestRatioOfGeneration reads the only name with two meanings.
func TestRatioOfGeneration(t *testing.T) {
	m, c, _ := metric.Lookup("DCGM_FI_DEV_GPU_UTIL_RATIO")
	for _, test := range []struct {
		generation metric.Generation
		text, want string
	}{
		{metric.Since49, "1", "100"}, {metric.Since49, "0.42", "42"}, {metric.Since49, "0", "0"}, {metric.Since49, "42", "implausible"},
		{metric.Before49, "1", "1"}, {metric.Before49, "42", "42"}, {metric.Before49, "0", "0"},
		{metric.AnyGeneration, "1", "ambiguous"}, {metric.AnyGeneration, "0.42", "42"}, {metric.AnyGeneration, "42", "42"},
	} {
		v, err := m.Read(c.Of(test.generation), []byte(test.text))
		if got := v.Absent.String(); err != nil || got != test.want && v.Number != mustParse(test.want) {
			t.Errorf("%s in generation %d: got %s %s, %v; want %s", test.text, test.generation, got, v.Number, err, test.want)
		}
	}
	if _, other, _ := metric.Lookup("DCGM_FI_DEV_ENC_UTIL_RATIO"); other.Of(metric.Before49) != other {
		t.Error("a name that means one thing is read differently by generation")
	}
}
