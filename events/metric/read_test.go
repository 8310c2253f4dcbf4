package metric_test

import (
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
)

// TestRead reads texts under a source's name. The expected result is a number, the word of a reason, or "bad".
func TestRead(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		// numbers stay exact
		{"POWER_USAGE", "66.781", "66.781"},
		{"POWER_USAGE", " 66.7810 ", "66.781"},
		{"GPU_TEMP", "-3", "-3"},
		{"GPU_UTIL", "0", "0"},
		{"GPU_UTIL", "75.5", "75.5"},
		{"TOTAL_ENERGY_CONSUMPTION", "9007199254740992", "9007199254740992"},
		{"XID_ERRORS", "79", "79"},
		{"rack_power", "1e3", "1000"},
		{"FB_USED_PERCENT", "1.01", "1.01"},
		// units
		{"DCGM_FI_DEV_SM_CLOCK_HERTZ", "1980000000", "1980"},
		{"DCGM_FI_DEV_SM_CLOCK_HERTZ", "1980000001", "1980.000001"},
		{"DCGM_FI_DEV_GPU_ENERGY_JOULES_TOTAL", "12345.678", "12345678"},
		{"DCGM_FI_DEV_ENC_UTIL_RATIO", "0.07", "7"},
		{"DCGM_FI_DEV_FB_USED_BYTES", "0", "0"},
		{"DCGM_FI_DEV_FB_USED_BYTES", "77413219336192", "implausible"},
		{"DCGM_FI_DEV_FB_USED_BYTES", "81175511040", "77415"},
		{"DCGM_FI_DEV_FB_USED_BYTES", "1048577", "1.00000095367431640625"},
		{"DCGM_FI_DEV_FB_USED_BYTES", "1536", "0.00146484375"},
		{"DCGM_FI_DEV_GPU_POWER_THROTTLE_SECONDS_TOTAL", "1.5", "1500000000"},
		{"clocks_event_reasons_counters.sw_power_cap [us]", "5451018134", "5451018134000"},
		// one name, two units
		{"DCGM_FI_DEV_GPU_UTIL_RATIO", "0.42", "42"},
		{"DCGM_FI_DEV_GPU_UTIL_RATIO", "42", "42"},
		{"DCGM_FI_DEV_GPU_UTIL_RATIO", "0", "0"},
		{"DCGM_FI_DEV_GPU_UTIL_RATIO", "1.0", "100"},
		{"DCGM_FI_DEV_GPU_UTIL_RATIO", "1", "ambiguous"},
		{"DCGM_FI_DEV_GPU_UTIL_RATIO", "1.5", "1.5"},
		// outside the range
		{"GPU_UTIL", "100", "100"},
		{"GPU_UTIL", "100.1", "implausible"},
		{"GPU_UTIL", "4294967295", "implausible"},
		{"GPU_TEMP", "-41", "implausible"},
		{"GPU_TEMP", "-40", "-40"},
		{"FB_USED_PERCENT", "1.0100001", "implausible"},
		{"POWER_USAGE", "1e300", "blank"},
		{"GPU_TEMP", "1e30", "blank"},
		// sentinels: int32 by equality, int64 and double from the base on
		{"GPU_TEMP", "2147483632", "blank"},
		{"GPU_TEMP", "2147483633", "not_found"},
		{"GPU_TEMP", "2147483634", "not_supported"},
		{"GPU_TEMP", "2147483635", "not_permitted"},
		{"ECC_SBE_VOL_TOTAL", "2147483636", "2147483636"},
		{"ECC_SBE_VOL_TOTAL", "2147483631", "2147483631"},
		{"POWER_VIOLATION", "9223372036854775792", "blank"},
		{"POWER_VIOLATION", "9223372036854775793", "not_found"},
		{"POWER_VIOLATION", "9223372036854775794", "not_supported"},
		{"POWER_VIOLATION", "9223372036854775795", "not_permitted"},
		{"POWER_VIOLATION", "9223372036854775807", "blank"},
		{"POWER_VIOLATION", "9.223372036854776e+18", "blank"},
		{"POWER_VIOLATION", "9223372036854775808", "blank"},
		{"POWER_USAGE", "140737488355328", "blank"},
		{"POWER_USAGE", "140737488355329.000", "not_found"},
		{"POWER_USAGE", "140737488355330", "not_supported"},
		{"POWER_USAGE", "140737488355331", "not_permitted"},
		{"POWER_USAGE", "1.40737488355328e+14", "blank"},
		{"TOTAL_ENERGY_CONSUMPTION", "140737488355328", "140737488355328"},
		{"GPU_UTIL", "1.40737488355328e+16", "blank"},
		{"GPU_UTIL", "14073748835533000", "not_supported"},
		{"DCGM_FI_DEV_ENC_UTIL_RATIO", "140737488355330", "not_supported"},
		{"DCGM_FI_DEV_NOT_IN_THE_CATALOGUE", "2147483634", "not_supported"},
		{"DCGM_FI_DEV_NOT_IN_THE_CATALOGUE", "140737488355329", "not_found"},
		{"bytes_written", "2147483634", "2147483634"},
		{"bytes_written", "9223372036854775807", "9223372036854775807"},
		{"GPU_TEMP", "<<<NULL>>>", "blank"},
		{"GPU_TEMP", "<<<NOT_FOUND>>>", "not_found"},
		{"GPU_TEMP", "<<<NOT_SUPPORTED>>>", "not_supported"},
		{"GPU_TEMP", "<<<NOT_PERM>>>", "not_permitted"},
		// tokens
		{"GPU_TEMP", "", "blank"},
		{"GPU_TEMP", "  \t", "blank"},
		{"GPU_TEMP", "null", "blank"},
		{"GPU_TEMP", "NaN", "blank"},
		{"GPU_TEMP", "[N/A]", "not_supported"},
		{"GPU_TEMP", "n/a", "not_supported"},
		{"GPU_TEMP", "-", "not_supported"},
		{"GPU_TEMP", "[Not Supported]", "not_supported"},
		{"GPU_TEMP", "[Requested functionality has been deprecated]", "deprecated"},
		{"GPU_TEMP", "[Insufficient Permissions]", "not_permitted"},
		{"GPU_TEMP", "ERR!", "error"},
		{"GPU_TEMP", "[Unknown Error]", "error"},
		{"GPU_TEMP", "[GPU is lost]", "lost"},
		{"GPU_TEMP", "[GPU requires reset]", "reset_required"},
		{"GPU_TEMP", "[Not Found]", "not_found"},
		// words
		{"clocks_event_reasons.active", "0x0000000000000041", "65"},
		{"clocks_event_reasons.active", "65", "65"},
		{"clocks_event_reasons.active", "0x10000", "implausible"},
		{"clocks_event_reasons.active", "0xFFFFFFFFFFFFFFFF", "implausible"},
		{"clocks_event_reasons.active", "0x", "bad"},
		{"clocks_event_reasons.active", "0x1_0", "bad"},
		{"pstate", "P0", "0"},
		{"pstate", "p15", "15"},
		{"pstate", "P16", "bad"},
		{"pstate", "P", "bad"},
		{"pstate", "P+1", "bad"},
		{"pstate", "32", "32"},
		{"mig.mode.current", "Enabled", "1"},
		{"mig.mode.current", "Disabled", "0"},
		{"remapped_rows.pending", "No", "0"},
		{"remapped_rows.failure", "Yes", "1"},
		{"remapped_rows.failure", "None", "bad"},
		{"ecc.errors.uncorrected.aggregate.sram.thresholdExceeded", "Not Active", "0"},
		{"gpu_recovery_action", "None", "0"},
		{"gpu_recovery_action", "Reset", "1"},
		{"gpu_recovery_action", "GPU Reset Required", "1"},
		{"gpu_recovery_action", "Node Reboot Required", "2"},
		{"gpu_recovery_action", "Drain P2P", "3"},
		{"gpu_recovery_action", "Drain and Reset", "4"},
		{"gpu_recovery_action", "Recover IMEX Domain", "5"},
		{"gpu_recovery_action", "Bus Reset", "6"},
		{"gpu_recovery_action", "System Reboot", "7"},
		{"GPURECOV", "8", "8"},
		{"GPURECOV", "4294967295", "implausible"},
		{"gpu_recovery_action", "Call somebody", "bad"},
		{"fabric.health.summary", "Healthy", "1"},
		{"fabric.health.summary", "Unhealthy", "2"},
		{"fabric.health.summary", "Limited Capacity", "3"},
		{"rack_door", "Yes", "bad"},
		{"GPU_TEMP", "Enabled", "bad"},
		// neither
		{"GPU_TEMP", "hot", "bad"},
		{"GPU_TEMP", "0x29", "bad"},
		{"GPU_TEMP", "4_1", "bad"},
		{"GPU_TEMP", "4,1", "bad"},
		{"GPU_TEMP", "1 000", "bad"},
		{"GPU_TEMP", "41 C", "bad"},
		{"GPU_TEMP", "Inf", "bad"},
		{"GPU_TEMP", "--", "bad"},
		{"GPU_TEMP", strings.Repeat("x", 500), "bad"},
		{"GPU_TEMP", "<<<", "bad"},
		{"GPU_TEMP", "<<<\xff>>>", "bad"},
		{"GPU_TEMP", "4" + strings.Repeat("0", 128), "bad"},
	} {
		m, c, _ := metric.Lookup(test.name)
		v, err := m.Read(c, []byte(test.text))
		got := v.Absent.String()
		switch {
		case err != nil:
			got = "bad"
		case v.Absent == events.Present:
			got = v.Number.String()
		case v.Raw != strings.TrimSpace(test.text) || v.Number != events.Number{}:
			t.Errorf("%s %q: got number %s, raw text %q; want none and the text", test.name, test.text, v.Number, v.Raw)
		}
		if want := test.want; got != want && !(v.Absent == events.Present && v.Number == mustParse(want)) {
			t.Errorf("%s %q: got %s, want %s", test.name, test.text, got, want)
		}
	}
}

func TestReadSpelled(t *testing.T) {
	known, _, _ := metric.Lookup("temperature.gpu")
	if known.Spelled() != known {
		t.Error("a metric of the catalogue takes more words than it did")
	}
	m, c, _ := metric.Lookup("gsp.mode.current")
	m = m.Spelled()
	for text, want := range map[string]string{
		"Enabled": "1", "Disabled": "0", "Active": "1", "Not Active": "0", "Yes": "1", "NO": "0", "True": "1", "False": "0",
		"0x00000000000001FF": "511", "0xFFFFFFFFFFFFFFFF": "18446744073709551615", "12": "12",
		"P0": "bad", "None": "bad", "Default": "bad", "0xG": "bad", "": "blank", "[N/A]": "not_supported",
	} {
		v, err := m.Read(c, []byte(text))
		got := v.Absent.String()
		if err != nil {
			got = "bad"
		}
		if got != want && (err != nil || v.Absent != events.Present || v.Number != mustParse(want)) {
			t.Errorf("%q: got %s %s, %v; want %s", text, got, v.Number, err, want)
		}
	}
}

// mustParse returns the number of a text, as far as a Number can represent it.
func mustParse(text string) events.Number {
	n, err := events.ParseNumber(text)
	if err != nil {
		return events.Int(-999)
	}
	return n
}

func FuzzRead(f *testing.F) {
	for _, seed := range [][2]string{{"GPU_UTIL", "42"}, {"fb_used_bytes", "123456789"}, {"gpu_util_ratio", "1"}, {"POWER_USAGE", "140737488355328"}, {"rack [W]", "1 W"}, {"gpu.power.min_limit [W]", "200"}, {"utilization.gpu [W] [%]", "1"}, {"x", "1e999"}, {"x", "[N/A]"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		m, c, ok := metric.Lookup(name)
		if ok != m.Known() || ok && m.Unit == "" {
			t.Fatalf("Lookup(%q): got %+v, %v", name, m, ok)
		}
		if again, conversion, _ := metric.Lookup(m.Name); again.Name != m.Name || !conversion.Exact() {
			t.Fatalf("Lookup(%q): got %q, which is %q when it is asked for", name, m.Name, again.Name)
		}
		v, err := m.Read(c, []byte(text))
		if err != nil || v.Absent != events.Present {
			if v.Number != (events.Number{}) {
				t.Fatalf("%s %q: got number %s beside %v, %v", name, text, v.Number, v.Absent, err)
			}
			return
		}
		if len(v.Raw) > 128 || v.Number.Compare(m.Min) < 0 && ok || v.Number.Compare(m.Max) > 0 && ok {
			t.Fatalf("%s %q: got %s, which is outside %s..%s", name, text, v.Number, m.Min, m.Max)
		}
		if back := mustParse(v.Number.String()); back != v.Number {
			t.Fatalf("%s %q: got a number that is not normalised: %+v", name, text, v.Number)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	m, c, _ := metric.Lookup("DCGM_FI_DEV_POWER_USAGE")
	text := []byte("263.148")
	for b.Loop() {
		if _, err := m.Read(c, text); err != nil {
			b.Fatal(err)
		}
	}
}
