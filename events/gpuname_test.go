package events

import "testing"

func TestNamesOfGPUsHaveOneSpelling(t *testing.T) {
	for name, want := range map[GPUID]GPUID{
		"a:1B:00.0":             "a:00000000:1b:00.0",
		"a:0000:1B:00.0":        "a:00000000:1b:00.0",
		"a:10000:E1:00.0":       "a:00010000:e1:00.0",
		"a:00000000:1b:00.0":    "a:00000000:1b:00.0",
		"Rack:7:0000:1B:00.0":   "Rack:7:00000000:1b:00.0",
		"a:0":                   "a:0",
		"A:GPU-B":               "A:GPU-B",
		"GPU-1B000000":          "GPU-1B000000",
		"a:1B:00":               "a:1B:00",
		"a:1G:00.0":             "a:1G:00.0",
		"a:000000000:1b:00.0":   "a:000000000:00000000:1b:00.0", // of a host that is named a:000000000
		"":                      "",
		"a:1B:00.0:":            "a:1B:00.0:",
		"a:0000:0000:1B:00.0":   "a:0000:00000000:1b:00.0",
		"0000:1B:00.0":          "0000:00000000:1b:00.0", // no address without a host
		"a:0000:1B:00.0/mig:11": "a:0000:1B:00.0/mig:11",
	} {
		if got := name.Canonical(); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}
