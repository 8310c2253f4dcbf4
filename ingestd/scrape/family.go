package scrape

import (
	"bytes"
	"math"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// ofGPUs reports whether a name belongs to a family that is kept. Names with points are OpenTelemetry's spelling.
func ofGPUs(name string) bool {
	for _, prefix := range [...]string{"DCGM_", "dcgm_", "nvidia_", "hw_gpu_", "hw.gpu."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// family is a metric's name with its properties.
type family struct {
	source       string
	kept         bool // it belongs to a family that is kept, and is no bucket, sum or count
	selfReported bool // without a GPU it is a sample of an exporter about itself
	fault        string
	metric       metric.Metric
	conversion   metric.Conversion
}

// readValue reads a sample's value from its text, because the float64 is rounded.
func (f *family) readValue(s *sample) (events.Value, error) {
	if math.IsInf(s.float, 0) {
		return events.Value{Absent: events.Implausible, Raw: string(s.value)}, nil
	}
	return f.metric.Read(f.conversion, s.value)
}

// families holds the declarations of a file.
type families struct {
	histograms map[string]bool // and summaries, as far as its beginning declares them
	generation metric.Generation
}

// familyOf returns the family of a name.
func (f *families) familyOf(name string) *family {
	fam := &family{source: name, kept: ofGPUs(name) && !f.isAggregate(name), fault: dialect.NameFault([]byte(name))}
	fam.metric, fam.conversion, _ = metric.Lookup(name)
	fam.conversion = fam.conversion.Of(f.generation)
	fam.selfReported = !fam.metric.Known() && !strings.HasPrefix(strings.ToUpper(name), "DCGM_FI_") && !strings.HasPrefix(name, "DCGM_EXP_")
	return fam
}

// isAggregate reports whether a name belongs to the series of a histogram or summary, which are no readings, or to
// the start times of counters.
func (f *families) isAggregate(name string) bool {
	if strings.HasSuffix(name, "_created") || f.histograms[name] {
		return true
	}
	for _, suffix := range [...]string{"_bucket", "_sum", "_count", "_gsum", "_gcount"} {
		if base, found := strings.CutSuffix(name, suffix); found && f.histograms[base] {
			return true
		}
	}
	return false
}

// declaredAggregate returns the name in the comment of a histogram or summary: # TYPE nvidia_latency histogram.
func declaredAggregate(line []byte) (name string, ok bool) {
	if !bytes.HasSuffix(line, []byte("histogram")) && !bytes.HasSuffix(line, []byte("summary")) {
		return "", false // as nearly all comments
	}
	words := bytes.Fields(line)
	if len(words) != 4 || string(words[0]) != "#" || string(words[1]) != "TYPE" {
		return "", false
	}
	switch string(words[3]) {
	case "histogram", "gaugehistogram", "summary":
		return strings.Trim(string(words[2]), `"`), true
	}
	return "", false
}
