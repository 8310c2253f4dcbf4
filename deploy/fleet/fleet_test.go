package fleet

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

var at = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestTheSameSeedMakesTheSameHistory(t *testing.T) {
	t.Parallel()
	play := func(seed uint64) string {
		var text bytes.Buffer
		if err := New(20, seed).WriteWide(&text, []time.Time{at, at.Add(time.Second)}); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	first, again := play(1), play(1)
	if first != again {
		t.Error("two fleets of one seed differ")
	}
	if first == play(2) {
		t.Error("two seeds make the same fleet")
	}
}

func TestScrapesHaveTheReadingsOfTheFiles(t *testing.T) {
	t.Parallel()
	var wide bytes.Buffer
	if err := New(20, 3).WriteWide(&wide, []time.Time{at}); err != nil {
		t.Fatal(err)
	}
	f := New(20, 3)
	frame := f.Advance()
	f.Advance() // changes no earlier frame
	if f.Hosts() != 3 {
		t.Fatalf("%d hosts, want 3", f.Hosts())
	}
	got := map[string]string{} // by GPU and metric
	for host := range f.Hosts() {
		for text := range strings.Lines(string(frame.AppendScrape(nil, host, at))) {
			if strings.HasPrefix(text, "#") {
				continue
			}
			metric, rest, _ := strings.Cut(text, "{")
			labels, values, _ := strings.Cut(rest, "} ")
			_, uuid, _ := strings.Cut(labels, `UUID="`)
			uuid, _, _ = strings.Cut(uuid, `"`)
			value, millis, _ := strings.Cut(strings.TrimSpace(values), " ")
			if millis != "1767225600000" {
				t.Fatalf("the time of %q is not %d", text, at.UnixMilli())
			}
			got[uuid+metric] = value
		}
	}
	if len(got) != 20*len(MetricNames()) {
		t.Errorf("%d samples, want %d", len(got), 20*len(MetricNames()))
	}
	lines := strings.Split(strings.TrimSpace(wide.String()), "\n")
	header := strings.Split(lines[0], ",")
	for _, text := range lines[1:] {
		cells := strings.Split(text, ",")
		for i, metric := range header {
			if strings.HasPrefix(metric, "DCGM_") && got[cells[2]+metric] != cells[i] {
				t.Errorf("%s of %s is %q, want %q", metric, cells[2], got[cells[2]+metric], cells[i])
			}
		}
	}
}

func TestFleetsOfTwoNamesHaveNoHostInCommon(t *testing.T) {
	t.Parallel()
	a, b := NewNamed("a", 8, 1), NewNamed("b", 8, 2)
	if a.GPU(0).Host == b.GPU(0).Host || a.GPU(0).UUID == b.GPU(0).UUID {
		t.Errorf("%v and %v share a name", a.GPU(0), b.GPU(0))
	}
	if a.GPU(8) != a.GPU(0) {
		t.Error("devices are not counted round and round")
	}
}
