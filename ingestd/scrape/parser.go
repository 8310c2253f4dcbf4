package scrape

import (
	"bytes"
	"errors"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Grammar returns the dialect of the text exposition format and of OpenMetrics.
func Grammar() dialect.Grammar {
	return dialect.Grammar{
		Name:   "prometheus",
		Form:   rows.Lines,
		Begins: isExposition,
		Open: func(f dialect.File, opt dialect.Options) (func() dialect.Worker, error) {
			h, err := readHead(f.Head, opt)
			if err != nil {
				return nil, err
			}
			table := dialect.NewIdentities()
			return func() dialect.Worker { return newWorker(opt, h, table) }, nil
		},
	}
}

// worker parses lines for one goroutine.
type worker struct {
	opt      dialect.Options
	head     *head
	reader   *reader
	clock    *dialect.Clock
	origins  *dialect.Origins
	families map[string]*family
	family   *family     // the last one
	bySet    []setOrigin // by the number of the labels in the reader's sets
	key      []byte
	source   dialect.Source
}

func newWorker(opt dialect.Options, h *head, table *dialect.Identities) *worker {
	return &worker{
		opt: opt, head: h,
		reader:   h.takeReader(),
		clock:    dialect.NewClock(opt),
		origins:  dialect.NewOrigins(opt, table, "prometheus", strconv.FormatBool(h.openMetrics)),
		families: map[string]*family{},
	}
}

// Parse appends the record or rejection of a line to out.
func (w *worker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed = "", false
	if row.Fault != nil {
		out.Rejections = append(out.Rejections, *row.Fault)
		return
	}
	line := row.Cells[0]
	if isComment(line) {
		out.Skipped++
		return
	}
	s, err := w.reader.readLine(line)
	if err != nil {
		out.Reject(row.Line, "", line, err.Error())
		return
	}
	fam := w.lookupFamily(&s)
	if !fam.kept {
		out.Skipped++
		return
	}
	w.addSample(row, fam, &s, out)
}

func isComment(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' {
			return c == '#'
		}
	}
	return false
}

// addSample adds the record of a sample, or rejects it.
func (w *worker) addSample(row *rows.Row, fam *family, s *sample, out *dialect.Parsed) {
	received := len(s.time) == 0 && w.opt.At.IsZero()
	origin := w.lookupOrigin(s, received)
	if origin.Fault != nil && fam.selfReported && !namesEntity(s.labelSet()) {
		out.Skipped++
		return
	}
	if rejection := w.findFault(row.Line, fam, s, origin); rejection != nil {
		out.Rejections = append(out.Rejections, *rejection)
		return
	}
	at, err := w.timeOf(s)
	if err != nil {
		out.Reject(row.Line, "timestamp", s.time, err.Error())
		return
	}
	value, err := fam.readValue(s)
	if err != nil {
		out.Reject(row.Line, fam.source, s.value, err.Error())
		return
	}
	out.Host = origin.Host
	w.addWarnings(row, origin, received, out)
	out.Add(events.Record{
		Identity: origin.For(fam.metric.Parts), Metric: fam.metric.Name, Source: fam.source, At: at, Value: value, Text: s.value,
	})
}

// findFault returns a rejection if the labels or the name cannot be used, else nil.
func (w *worker) findFault(line int, fam *family, s *sample, origin *dialect.Origin) *rows.Rejection {
	switch {
	case fam.fault != "":
		return &rows.Rejection{Line: line, Text: rows.Excerpt([]byte(fam.source)), Reason: fam.fault}
	case origin.Fault != nil:
		rejection := *origin.Fault
		rejection.Line = line
		if rejection.Text == "" {
			rejection.Text = rows.Excerpt(append(append([]byte(nil), s.name...), s.labels...))
		}
		return &rejection
	}
	return nil
}

// timeOf returns a sample's time.
func (w *worker) timeOf(s *sample) (events.Timestamp, error) {
	switch {
	case len(s.time) > 0:
		instant, err := w.clock.Read(s.time)
		return instant.At, err
	case !w.opt.At.IsZero():
		return w.clock.TimestampOf(w.opt.At)
	case !w.opt.Now.IsZero():
		return w.clock.TimestampOf(w.opt.Now)
	}
	return 0, errors.New("the line has no time; give the time of all lines with ?ts=")
}

const (
	notIdempotent = "received_time: lines without a time get the time of receipt (label time_source=received), so sending them again adds other records; " +
		"give their time with ?ts="
	severalScrapes = "repeated_series: the series was there before, and neither line has a time: it is unknown which of several scrapes in one file is the newer; " +
		"send each by itself, with its time in ?ts="
)

// addWarnings adds the doubts about a line. Doubts about the whole file are reported once, with the first such line
// at its beginning.
func (w *worker) addWarnings(row *rows.Row, origin *dialect.Origin, received bool, out *dialect.Parsed) {
	for _, warning := range origin.Warnings {
		warning.Line = row.Line
		out.Warnings = append(out.Warnings, warning)
	}
	if received && (w.head.untimed == nil || bytes.Equal(row.Cells[0], w.head.untimed)) {
		out.Warn(row.Line, "timestamp", nil, notIdempotent)
	}
	if w.head.repeated != nil && bytes.Equal(row.Cells[0], w.head.repeated) {
		out.Warn(row.Line, "", row.Cells[0], severalScrapes)
	}
}

// maxFamilies bounds the number of names that a worker caches.
const maxFamilies = 4096

// lookupFamily returns the family of a sample's name.
func (w *worker) lookupFamily(s *sample) *family {
	if w.family != nil && len(s.name) > 0 && w.family.source == string(s.name) {
		return w.family
	}
	w.family = w.families[string(s.name)]
	if w.family == nil {
		w.family = w.familyOf(s.metricName())
	}
	return w.family
}

// familyOf returns the family of a name.
func (w *worker) familyOf(name string) *family {
	if fam := w.families[name]; fam != nil {
		return fam
	}
	if len(w.families) == maxFamilies {
		clear(w.families)
	}
	fam := w.head.familyOf(name)
	w.families[fam.source] = fam
	return fam
}
