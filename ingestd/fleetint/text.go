package fleetint

import (
	"unicode/utf8"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// reading is a row of text as a number.
type reading struct {
	metric metric.Metric
	source string
	text   []byte // the row's text for the value
	value  events.Value
	code   string // the code of an XID; "" for any other event
}

// addReading appends a reading and keeps the row's text in labels, which are named after the columns. The reading
// belongs to the GPU that about adds, if any, else to the host itself.
func (r *reader) addReading(row *rows.Row, v reading, columns []int, about func(*dialect.Source), out *dialect.Parsed) {
	origin := r.textOrigin(row, v.code, columns, about)
	if origin.Fault != nil {
		out.Refuse(row, *origin.Fault)
		return
	}
	out.Host = origin.Host
	instant, ok := r.readTime(row, out)
	if !ok {
		return
	}
	for _, c := range columns {
		if text := r.cellOf(row, c); len(text) > maxText {
			out.Warn(row.Line, r.columns[c], text, shortened)
		}
	}
	addWarnings(row, origin, out)
	out.Add(events.Record{
		Identity: origin.For(v.metric.Parts), Metric: v.metric.Name, Source: v.source, At: instant.At, Value: v.value, Text: v.text,
	})
}

// textOrigin returns the origin of such a row.
func (r *reader) textOrigin(row *rows.Row, code string, columns []int, about func(*dialect.Source)) *dialect.Origin {
	r.key = append(r.key[:0], code...)
	for _, c := range columns {
		r.key = append(append(r.key, 0), r.cellOf(row, c)...)
	}
	if o := r.origins.Get(r.key); o != nil {
		return o
	}
	r.source.Reset()
	r.source.OfHost()
	for _, c := range columns {
		r.source.Column(dialect.Label, 1, labelOf(r.columns[c], code), shortenText(r.cellOf(row, c)))
	}
	if code != "" {
		r.source.Column(dialect.Label, 1, "err_code", []byte(code))
	}
	about(&r.source)
	return r.origins.Learn(r.key, &r.source)
}

// labelOf returns the name of the label for a column. The text of an XID has the name that dcgm-exporter uses.
func labelOf(column, code string) string {
	if column == "message" && code != "" {
		return "err_msg"
	}
	return column
}

// maxText bounds a label made of free text: the state of a host holds the labels of all its records.
const (
	maxText   = 512
	shortened = "the text is longer than 512 bytes; its label has the beginning"
)

func shortenText(text []byte) []byte {
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}
