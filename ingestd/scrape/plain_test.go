package scrape

import (
	"bytes"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

// FuzzPlain compares the scan of a plain line with the readings of both parsers.
func FuzzPlain(f *testing.F) {
	for _, line := range []string{
		`DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-6",Hostname="n 9"} 12.5 1752871354123`,
		`a{b="c",b="d",__name__="e"} -0.5`, `a 1`, `a{b=""} 1. 5`, `a{b="c",} 1`, `a{} 1`, `a{b="c"}  1`, `a{b="c"} 1e5`, `a{b="\n"} 1`,
		`a{b="é"} .5 0`, `a{0b="c"} 1`, `a:b{c="}"} 1`, `a{b="c"} - 5`, `a{b="c"} 1 -5`, `a{b="c" } 1`, `a{b="c"}1`, `0a 5`, `a{b:c="d"} 00012 000`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		line = bytes.TrimSpace(line)
		known := new(reader)
		for range 2 { // the labels are read, and then remembered
			known.scanPlain([]byte(`b{c="d"} 1`))
			known.scanPlain(line)
		}
		got, ok := new(reader).scanPlain(line)
		if again, okAgain := known.scanPlain(line); okAgain != ok || string(again.labels) != string(got.labels) || string(again.name) != string(got.name) {
			t.Errorf("%q: got %v and labels %q, and of a reader that knows them %v and %q", line, ok, got.labels, okAgain, again.labels)
		}
		if !ok || bytes.ContainsRune(line, '\n') {
			return
		}
		for _, openMetrics := range []bool{false, true} {
			r := &reader{openMetrics: openMetrics, text: append(bytes.Clone(line), '\n')}
			want, err := r.parseLine(line, openMetrics)
			if err != nil {
				t.Fatalf("%q, OpenMetrics %v: %v", line, openMetrics, err)
			}
			if string(got.name) != string(want.name) || string(got.labels) != string(want.labels) ||
				string(got.value) != string(want.value) || string(got.time) != string(want.time) {
				t.Errorf("%q: got %q %q %q %q, want %q %q %q %q", line, got.name, got.labels, got.value, got.time, want.name, want.labels, want.value, want.time)
			}
			if a, b := got.labelSet(), want.labelSet(); !labels.Equal(a, b) {
				t.Errorf("%q: got labels %s, want %s", line, a, b)
			}
			if got.seriesID() != want.seriesID() || got.namesHost() != want.namesHost() || got.metricName() != want.metricName() {
				t.Errorf("%q: its series, its host or its name differ from the parsers'", line)
			}
		}
	})
}

// The order of labels, a form that is not plain and escapes make no other series.
func TestSpellingsOfASeries(t *testing.T) {
	idOf := func(line string) seriesID {
		s, err := new(reader).readLine([]byte(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return s.seriesID()
	}
	want := idOf(`DCGM_X{gpu="0",Hostname="n"} 1`)
	for _, same := range []string{`DCGM_X{Hostname="n",gpu="0"} 2`, `DCGM_X{ gpu = "0" , Hostname="n",} 1e3`, `{Hostname="n","DCGM_X",gpu="0"} 1`} {
		if got := idOf(same); got != want {
			t.Errorf("%s: got another series", same)
		}
	}
	for _, other := range []string{`DCGM_X{gpu="0"} 1`, `DCGM_Y{gpu="0",Hostname="n"} 1`, `DCGM_X{gpu="n",Hostname="0"} 1`, `DCGM_X{gpu="0",Hostname="n",a=""} 1`} {
		if got := idOf(other); got == want {
			t.Errorf("%s: got the same series", other)
		}
	}
}
