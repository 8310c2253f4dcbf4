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
	samples     int    // number of samples of GPUs
	hosts       int    // number of their labels that name a host
	untimed     []byte // the first of them without a time
	repeated    []byte // the first of them without a time whose series came before
	seen        map[string]bool
}

// isExposition reports whether a text has this format: its first line is a comment of the format, or a sample with
// braces.
func isExposition(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		switch words := bytes.Fields(line[:min(len(line), 16)]); {
		case len(line) == 0:
		case line[0] != '#':
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
	h := &head{families: families{histograms: map[string]bool{}}, seen: map[string]bool{}}
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		text = text[:i+1]
	}
	h.openMetrics = bytes.Contains(text, []byte("# EOF")) || bytes.Contains(text, []byte("# UNIT "))
	r := &reader{openMetrics: h.openMetrics}
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if name, ok := declaredAggregate(line); ok {
			h.histograms[name] = true
		}
		if s, err := r.readLine(line); err == nil {
			h.addSample(&s, line)
		}
	}
	h.seen = nil
	if h.samples > 0 && h.hosts == 0 && opt.Host == "" {
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
	set := s.labelSet()
	name := set.Get(nameLabel)
	if !ofGPUs(name) {
		return
	}
	h.samples++
	if h.generation == metric.AnyGeneration {
		h.generation = metric.GenerationOfName(name)
	}
	set.Range(func(l labels.Label) {
		if f, _ := dialect.FieldOf(l.Name); f == dialect.Host || l.Name == "instance" {
			h.hosts++
		}
	})
	if len(s.time) > 0 {
		return
	}
	if h.untimed == nil {
		h.untimed = bytes.Clone(line)
	}
	if series := set.String(); h.seen[series] && h.repeated == nil {
		h.repeated = bytes.Clone(line)
	} else {
		h.seen[series] = true
	}
}
