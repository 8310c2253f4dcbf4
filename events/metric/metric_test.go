package metric_test

import (
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
)

func TestCatalogueIsSound(t *testing.T) {
	all := metric.All()
	if !slices.IsSortedFunc(all, func(a, b metric.Metric) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the catalogue is not sorted by name, so Lookup cannot find in it")
	}
	names, ids := map[string]bool{}, map[int]string{}
	for _, m := range all {
		if names[m.Name] || m.ID != 0 && ids[m.ID] != "" {
			t.Errorf("%s (%d) is in the catalogue twice", m.Name, m.ID)
		}
		names[m.Name], ids[m.ID] = true, m.Name
		if m.Unit == "" || m.Help == "" || m.Type == metric.Untyped || m.Min.Compare(m.Max) >= 0 {
			t.Errorf("%s is incomplete: %+v", m.Name, m)
		}
		for _, name := range []string{m.Name, strings.ToLower(m.Name), " " + m.Name + "\t", strings.TrimPrefix(m.Name, "DCGM_FI_DEV_"), strings.TrimPrefix(m.Name, "DCGM_FI_")} {
			got, c, ok := metric.Lookup(name)
			if !ok || got != m || !c.Exact() {
				t.Errorf("Lookup(%q): got %s, %+v, %v; want %s as it is", name, got.Name, c, ok, m.Name)
			}
		}
	}
	if got, want := len(all), 90; got != want {
		t.Errorf("got %d metrics, want %d", got, want)
	}
}

func TestLookupOfUnknownNames(t *testing.T) {
	for _, name := range []string{"rack_power", "memory.used [GiB]", "utilization.gpu [W]", "clocks_event_reasons_counters.sync_boost [ms]", "power.draw []", "DCGM_FI_DEV_NVLINK_THROUGHPUT_BYTES_PER_SECOND", "dcgm_fi_prof_warp_speed", "DCGM_FI_DEV_", "", "dcgm_temperature.gpu"} {
		m, c, ok := metric.Lookup("  " + name + " ")
		if ok || m.Known() || m.Name != name || !c.Exact() || m.Parts != metric.PerAny {
			t.Errorf("Lookup(%q): got %+v, %+v, %v; want a metric under its own name", name, m, c, ok)
		}
	}
}

// TestLookupOfColumns has columns of nvidia-smi without a DCGM field: all spellings are one metric.
// A record of this metric hides a host, so no name in a file may become it.
func TestNoNameOfASourceJoinsHosts(t *testing.T) {
	for _, name := range []string{"host_joined", " host_joined\t", "host_joined [%]", "host_joined [MiB]"} {
		m, _, known := metric.Lookup(name)
		if m.Name != "host_joined_uploaded" || known {
			t.Errorf("Lookup(%q): got %q, known %v; want another name", name, m.Name, known)
		}
		if again, _, _ := metric.Lookup(m.Name); again.Name != m.Name {
			t.Errorf("Lookup(%q): got %q; an export uploaded again would be another metric", m.Name, again.Name)
		}
	}
}

func TestLookupOfColumns(t *testing.T) {
	for _, line := range []string{
		"clocks.current.graphics MHz: clocks.current.graphics, clocks.gr [MHz]",
		"clocks.max.graphics: clocks.max.gr",
		"clocks.applications.memory: clocks.applications.mem",
		"clocks.default_applications.graphics: clocks.default_applications.gr",
		"clocks_event_reasons.gpu_idle: clocks_event_reasons.gpu_idle, clocks_throttle_reasons.gpu_idle, CLOCKS_THROTTLE_REASONS.GPU_IDLE",
		"power.draw.average W: power.draw.average [W], gpu.power.draw.average[w], power.draw.average",
		"power.default_limit W: gpu.power.default_limit [W]",
		"power.min_limit: gpu.power.min_limit",
		"power.max_limit: gpu.power.max_limit",
		"inforom.img: inforom.image",
		"inforom.pwr: inforom.power",
		"gom.current: gpu_operation_mode.current",
		"gom.pending: gpu_operation_mode.pending",
		"serial: gpu_serial",
		"edpp_multiplier %: edpp_multiplier [%]",
		"power_smoothing.window_multiplier ms: power_smoothing.window_multiplier [ms]",
		"encoder.stats.sessionCount: encoder.stats.sessionCount",
		"utilization.jpeg %: utilization.jpeg [%]",
		"module.power.limit W: module.power.limit [W]",
	} {
		want, sources, _ := strings.Cut(line, ": ")
		want, unit, _ := strings.Cut(want, " ")
		for source := range strings.SplitSeq(sources, ", ") {
			m, c, ok := metric.Lookup(source)
			if ok || m.Name != want || strings.Contains(source, "[") && m.Unit != unit || !c.Exact() {
				t.Errorf("Lookup(%q): got %q in %q, known %v; want %q in %q under its own name", source, m.Name, m.Unit, ok, want, unit)
			}
		}
	}
}

func TestIn(t *testing.T) {
	for _, test := range []struct {
		name, units string
	}{
		{"power.draw", "W"},
		{"fan.speed", "%"},
		{"memory.used", "MiB"},
		{"clocks.sm", "MHz"},
		{"clocks_event_reasons_counters.sync_boost", "us"},
		{"temperature.gpu", "C"},
		{"ecc.errors.corrected.volatile.total", ""},
		{"power.min_limit [W]", "W"},
		{"power.min_limit", "% W MHz MiB us ms"},
		{"DCGM_FI_DEV_FB_USED_BYTES", ""},
	} {
		m, c, _ := metric.Lookup(test.name)
		for _, unit := range []string{"%", "W", "MHz", "MiB", "us", "ms", "C", "GiB", ""} {
			if got, want := m.In(c, unit), slices.Contains(strings.Fields(test.units), unit); got != want {
				t.Errorf("%s in %q: got %v, want %v", test.name, unit, got, want)
			}
		}
	}
}

func TestNamed(t *testing.T) {
	for _, field := range metric.Named() {
		m, c, ok := metric.Lookup(field.Name)
		if !ok || !c.Exact() || m.Name != field.Metric || m.Unit != field.Unit || field.Description == "" {
			t.Errorf("%+v does not agree with the catalogue's %+v", field, m)
		}
	}
	if got, want := len(metric.Named()), 8; got != want {
		t.Errorf("got %d named fields, want %d", got, want)
	}
}

func parseNumber(t *testing.T, text string) events.Number {
	t.Helper()
	n, err := events.ParseNumber(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
