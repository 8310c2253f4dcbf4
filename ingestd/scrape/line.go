package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"telemetry-pipeline/ingestd/rows"
)

// reader reads single lines. It scans plain ones itself and leaves all others to Prometheus' parsers.
type reader struct {
	openMetrics bool // the file declares itself OpenMetrics, so that parser comes first
	text        []byte
	name        []byte // of the last plain line's metric
	sets        labelSets
}

// sample is a line that was read. It is valid until the next line is read.
type sample struct {
	parser textparse.Parser // nil for a plain line
	name   []byte           // empty where it is within the braces
	labels []byte           // with the braces; empty where there are none
	set    int32            // the number of the labels in the reader's sets; 0 for none
	value  []byte           // part of the line itself, as is time
	float  float64
	time   []byte // empty where the line has none
}

// readLine reads a line that is no comment. The two formats differ little within a line, so a line that is invalid in
// one may be valid in the other: OpenMetrics has seconds with a fraction, and exemplars.
func (r *reader) readLine(line []byte) (s sample, err error) {
	line = bytes.TrimSpace(line)
	if s, ok := r.scanPlain(line); ok {
		return s, nil
	}
	return r.parseEither(line)
}

// parseEither reads a line with the parsers.
func (r *reader) parseEither(line []byte) (s sample, err error) {
	r.text = append(append(r.text[:0], line...), '\n') // a copy: the parser may write behind its text
	if s, err = r.parseLine(line, r.openMetrics); err == nil {
		return s, nil
	}
	if other, otherErr := r.parseLine(line, !r.openMetrics); otherErr == nil {
		return other, nil
	}
	return s, err
}

func (r *reader) parseLine(line []byte, openMetrics bool) (s sample, err error) {
	if openMetrics {
		s.parser = textparse.NewOpenMetricsParser(r.text, nil)
	} else {
		s.parser = textparse.NewPromParser(r.text, nil, false)
	}
	switch entry, err := s.parser.Next(); {
	case err != nil:
		return s, parserError(err)
	case entry != textparse.EntrySeries:
		return s, errors.New("the line is no sample")
	}
	var series []byte
	series, _, s.float = s.parser.Series()
	s.name = series
	if i := bytes.IndexByte(series, '{'); i >= 0 {
		s.name, s.labels = bytes.TrimSpace(series[:i]), series[i:]
	}
	s.value, s.time = splitValueTime(line[len(series):])
	return s, nil
}

// parserError returns a parser's error without the line that it quotes.
func parserError(err error) error {
	text, _, _ := strings.Cut(err.Error(), " while parsing:")
	return fmt.Errorf("the line is no sample of the Prometheus text format: %s", rows.Excerpt([]byte(text)))
}

// splitValueTime returns the value and the time behind a series, before an exemplar.
func splitValueTime(text []byte) (value, time []byte) {
	value, text = cutWord(text)
	if time, _ = cutWord(text); bytes.HasPrefix(time, []byte("#")) {
		return value, nil
	}
	return value, time
}

func cutWord(text []byte) (first, rest []byte) {
	text = bytes.TrimLeft(text, " \t")
	if i := bytes.IndexAny(text, " \t"); i >= 0 {
		return text[:i:i], text[i:]
	}
	return text, nil
}

// nameLabel is the label in which the parsers return a metric's name.
const nameLabel = "__name__"

// labelSet returns the labels, including the metric's name.
func (s *sample) labelSet() labels.Labels {
	var all labels.Labels
	if s.parser != nil {
		s.parser.Labels(&all)
		return all
	}
	b := labels.NewScratchBuilder(16)
	b.Add(nameLabel, string(s.name))
	for l := range s.plainLabels() {
		b.Add(string(l.name), string(l.value))
	}
	b.Sort()
	return b.Labels()
}
