package scrape

import (
	"bytes"
	"errors"
	"slices"

	"github.com/prometheus/prometheus/model/labels"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// head holds the findings from the beginning of a file.
type head struct {
	families
	openMetrics bool
	samples     int               // number of samples of GPUs
	namesHost   bool              // one of them has a label that may name its host
	untimed     []byte            // the first of them without a time
	repeated    []byte            // the first of them without a time whose series came before
	seen        map[seriesID]bool // of those without a time; nil once the beginning is read
	reader      *reader           // of the beginning, for the first worker

	name   string // of the last sample's metric
	ofGPUs bool   // it belongs to a family that is kept
}

// isExposition reports whether a text has this format: its first line is a comment of the format, or a sample with
// braces.
func isExposition(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		switch words := bytes.Fields(line[:min(len(line), 16)]); {
		case len(line) == 0:
		case line[0] != '#':
			if bytes.IndexByte(line, '{') < 0 {
				return false
			}
			s, err := new(reader).readLine(line)
			return err == nil && len(s.labels) > 0
		case len(words) > 1 && string(words[0]) == "#" && slices.Contains([]string{"HELP", "TYPE", "UNIT", "EOF"}, string(words[1])):
			return true
		}
	}
	return false
}

// readHead reads the beginning of a file. A last line without an end may be cut off there and is left out, unless it
// is the only one.
func readHead(text []byte, opt dialect.Options) (*head, error) {
	h := &head{families: families{histograms: map[string]bool{}}, seen: map[seriesID]bool{}}
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		text = text[:i+1]
	}
	h.openMetrics = bytes.Contains(text, []byte("# EOF")) || bytes.Contains(text, []byte("# UNIT "))
	h.reader = &reader{openMetrics: h.openMetrics}
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		switch text := bytes.TrimSpace(line); {
		case len(text) == 0:
		case text[0] == '#':
			if name, ok := declaredAggregate(text); ok {
				h.histograms[name] = true
			}
		default:
			if s, err := h.reader.readLine(text); err == nil {
				h.addSample(&s, line)
			}
		}
	}
	h.seen = nil
	if h.samples > 0 && !h.namesHost && opt.Host == "" {
		return nil, errors.New("no sample at its beginning names its host (by a label such as Hostname or instance); give the host of all with ?host=")
	}
	if opt.Exporter == "" {
		return h, nil
	}
	var err error
	h.generation, err = metric.GenerationOf(opt.Exporter)
	return h, err
}

func (h *head) addSample(s *sample, line []byte) {
	if !h.isOfGPUs(s) {
		return
	}
	h.samples++
	h.namesHost = h.namesHost || s.namesHost()
	if len(s.time) > 0 {
		return
	}
	if h.untimed == nil {
		h.untimed = bytes.Clone(line)
	}
	if series := s.seriesID(); h.repeated == nil && h.seen[series] {
		h.repeated = bytes.Clone(line)
	} else if h.repeated == nil {
		h.seen[series] = true
	}
}

// isOfGPUs reports whether a sample belongs to a family that is kept, and notes the generation that its name proves.
func (h *head) isOfGPUs(s *sample) bool {
	if len(s.name) > 0 && string(s.name) == h.name {
		return h.ofGPUs
	}
	h.name = s.metricName()
	h.ofGPUs = ofGPUs(h.name)
	if h.ofGPUs && h.generation == metric.AnyGeneration {
		h.generation = metric.GenerationOfName(h.name)
	}
	return h.ofGPUs
}

// takeReader returns the reader of the beginning, which knows its labels, once, and then new ones.
func (h *head) takeReader() *reader {
	r := h.reader
	h.reader = &reader{openMetrics: h.openMetrics}
	return r
}

// metricName returns the name of the sample's metric.
func (s *sample) metricName() string {
	if len(s.name) == 0 {
		return s.labelSet().Get(nameLabel)
	}
	return string(s.name)
}

// namesHost reports whether one of the labels may name a host.
func (s *sample) namesHost() bool {
	isHost := func(name string) bool {
		f, _ := dialect.FieldOf(name)
		return f == dialect.Host || name == "instance"
	}
	if s.parser == nil {
		for l := range s.plainLabels() {
			if isHost(string(l.name)) {
				return true
			}
		}
		return false
	}
	found := false
	s.labelSet().Range(func(l labels.Label) { found = found || isHost(l.Name) })
	return found
}

// seriesID returns the same for each spelling of a series.
func (s *sample) seriesID() (id seriesID) {
	if s.parser == nil {
		id.addText(s.name)
		for l := range s.plainLabels() {
			id.addText(l.pair)
		}
		return id
	}
	s.labelSet().Range(func(l labels.Label) {
		if l.Name == nameLabel {
			id.addText([]byte(l.Value))
		} else {
			id.addText([]byte(l.Name + `="` + l.Value + `"`))
		}
	})
	return id
}
