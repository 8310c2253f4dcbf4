package scrape

import (
	"bytes"
	"math"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// ofGPUs tells the families that are kept. Names with points are how OpenTelemetry writes them.
func ofGPUs(name string) bool {
	for _, prefix := range [...]string{"DCGM_", "dcgm_", "nvidia_", "hw_gpu_", "hw.gpu."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// family is what is known of a metric's name.
type family struct {
	source       string
	kept         bool // it is of a family that is kept, and no bucket, sum or count
	selfReported bool // without a GPU it is what an exporter says of itself
	fault        string
	metric       metric.Metric
	conversion   metric.Conversion
}

// readValue reads a sample's value. Its text is read, not the float64, which would round it.
func (f *family) readValue(s *sample) (events.Value, error) {
	if math.IsInf(s.float, 0) {
		return events.Value{Absent: events.Implausible, Raw: string(s.value)}, nil
	}
	return f.metric.Read(f.conversion, s.value)
}

// families are those of a file.
type families struct {
	histograms map[string]bool // and summaries, as far as its beginning declares them
	generation metric.Generation
}

// familyOf works out what a name stands for.
func (f *families) familyOf(name string) *family {
	fam := &family{source: name, kept: ofGPUs(name) && !f.isAggregate(name), fault: dialect.BadName([]byte(name))}
	fam.metric, fam.conversion, _ = metric.Lookup(name)
	fam.conversion = fam.conversion.Of(f.generation)
	fam.selfReported = !fam.metric.Known() && !strings.HasPrefix(strings.ToUpper(name), "DCGM_FI_") && !strings.HasPrefix(name, "DCGM_EXP_")
	return fam
}

// isAggregate tells the series of a histogram or summary, which are no readings, and the times at which counters began.
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

// declaredAggregate reads the comment of a histogram or summary: # TYPE nvidia_latency histogram.
func declaredAggregate(line []byte) (name string, ok bool) {
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
