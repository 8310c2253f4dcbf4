package grafana

import (
	"fmt"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// series is one series of the file, as far as its name and the sender identify it.
type series struct {
	name       string // as the file spells it
	host       events.HostID
	identity   *events.Identity
	metric     metric.Metric
	conversion metric.Conversion
	source     string // the metric's name in the file or from the sender
	fault      string // reason why its readings cannot be used; "" if they can
	warnings   []rows.Rejection
}

// resolver identifies series by their names. Each worker has its own.
type resolver struct {
	opt     dialect.Options
	origins *dialect.Origins
	source  dialect.Source
}

func newResolver(opt dialect.Options, table *dialect.Identities) *resolver {
	return &resolver{opt: opt, origins: dialect.NewOrigins(opt, table)}
}

// resolveSeries returns the series with the given name.
func (r *resolver) resolveSeries(text []byte) *series {
	s := &series{name: string(text)}
	n := parseName(s.name)
	if s.fault = n.fault; s.fault != "" {
		return s
	}
	origin := r.resolveOrigin(n)
	s.source = n.metric
	if s.source == "" && origin.BadLabels == "" {
		s.source = origin.Metric
	}
	if s.source == "" {
		s.source = strings.TrimSpace(r.opt.Metric)
	}
	s.host, s.warnings = origin.Host, origin.Warnings
	if s.fault = s.findFault(origin); s.fault != "" {
		return s
	}
	s.metric, s.conversion, _ = metric.Lookup(s.source)
	s.identity = origin.For(s.metric.Parts)
	return s
}

// resolveOrigin returns the origin of a series' readings.
func (r *resolver) resolveOrigin(n name) *dialect.Origin {
	r.source.Reset()
	if n.gpu != "" {
		r.source.Column(n.field, 1, "the legend", []byte(n.gpu))
	}
	if n.labels != "" {
		r.source.Labels([]byte(n.labels))
	}
	return r.origins.Learn(nil, &r.source) // the caller caches the series
}

// findFault returns the fault of a series whose name could be parsed, with the remedy.
func (s *series) findFault(o *dialect.Origin) string {
	bad := dialect.NameFault([]byte(s.source))
	switch {
	case o.BadLabels != "":
		return o.BadLabels
	case s.source == "" && o.Host == "":
		return "it names neither a metric nor a host; give both for the whole file with ?metric= and ?host="
	case s.source == "":
		return "it names no metric; give one for the whole file with ?metric="
	case o.Fault != nil && o.Fault.Column != "":
		return fmt.Sprintf("its label %s is %q: %s", o.Fault.Column, o.Fault.Text, o.Fault.Reason)
	case o.Host == "":
		return "it names no host (localhost is none); give one for the whole file with ?host="
	case o.Fault != nil:
		return "it names no GPU; does the query sum over GPUs? Export the series of each GPU"
	}
	return bad
}

// readCell reads a cell of the series. ok is false where the table has a gap.
func (s *series) readCell(text []byte) (v events.Value, ok bool, err error) {
	if isGap(text) {
		return v, false, nil
	}
	if v, err = s.metric.Read(s.conversion, text); err == nil {
		return v, true, nil
	}
	if v, found, err := readFormatted(&s.metric, text); found {
		return v, true, err
	}
	return v, true, err
}

// isGap reports whether a cell has no sample: Grafana writes null or undefined where it joins series of different
// times.
func isGap(text []byte) bool {
	switch strings.TrimSpace(string(text)) {
	case "", "null", "undefined":
		return true
	}
	return false
}
