package dcgmlong

import (
	"bytes"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// labelOfName is the label in which Prometheus keeps a metric's name.
const labelOfName = "__name__"

// findOrigin returns a row's origin and the metric's name by its labels, or the fault of the row. Labels in the last
// column are compared in their quotes: the labels of a known origin need no unescaping.
func (w *Worker) findOrigin(row *rows.Row) (o *dialect.Origin, labelled []byte, fault *rows.Rejection) {
	tailed := row.Tail != nil && len(row.Cells) == w.labels && w.labels == len(w.names)-1
	if tailed {
		labelled = w.tailKey(row)
		if o = w.origins.Get(w.key); o != nil && o.BadLabels == "" {
			return o, metricNameBy(o, labelled), nil
		}
	}
	if fault = row.Complete(); fault == nil {
		tailed = tailed && len(row.Cells) == len(w.names)
		fault = row.Fit(len(w.names))
	}
	switch {
	case fault != nil:
		return nil, nil, fault
	case o != nil: // the row needs a warning about its labels
		return o, nil, nil
	case tailed:
		o = w.learnOrigin(row.Cells)
		return o, metricNameBy(o, labelled), nil
	}
	o, labelled = w.lookupOrigin(row.Cells)
	return o, labelled, nil
}

// tailKey builds the key of a row whose labels are in their quotes, and returns the metric's name in them.
func (w *Worker) tailKey(row *rows.Row) (labelled []byte) {
	key := w.key[:0]
	for _, i := range w.originIndex {
		key = append(append(key, row.Cells[i]...), 0) // a row with a NUL is a fault
	}
	from, to := w.nameIn(row.Tail, `""`)
	key = append(key, 0) // one more than in the keys of other rows
	w.key = append(append(append(key, row.Tail[:from]...), 0), row.Tail[to:]...)
	return row.Tail[from:to]
}

// metricNameBy returns the metric's name by the labels: as found in the text, else as the origin has it.
func metricNameBy(o *dialect.Origin, labelled []byte) []byte {
	switch {
	case o.BadLabels != "":
		return nil
	case len(labelled) == 0:
		return []byte(o.Metric)
	}
	return labelled
}

// lookupOrigin returns a row's origin and the metric's name by its labels. Rows of one GPU are equal except for that
// name, so the origin's key leaves it out: an origin is built once per GPU, not once per metric.
func (w *Worker) lookupOrigin(cells [][]byte) (o *dialect.Origin, labelled []byte) {
	key := w.key[:0]
	for _, i := range w.originIndex {
		key = append(append(key, cells[i]...), 0) // a row with a NUL is a fault
	}
	if w.labels >= 0 {
		cell := cells[w.labels]
		from, to := w.nameIn(cell, `"`)
		labelled = cell[from:to]
		key = append(append(append(key, cell[:from]...), 0), cell[to:]...)
	}
	w.key = key
	if o = w.origins.Get(key); o == nil {
		o = w.learnOrigin(cells)
	}
	return o, metricNameBy(o, labelled)
}

// learnOrigin builds the origin of a row and adds it to the cache.
func (w *Worker) learnOrigin(cells [][]byte) *dialect.Origin {
	w.source.Reset()
	for i, col := range w.originColumns {
		w.source.Column(col.Field, col.Rank, col.Name, cells[w.originIndex[i]])
	}
	if w.labels >= 0 {
		w.source.Labels(cells[w.labels])
	}
	return w.origins.Learn(w.key, &w.source)
}

// nameIn returns the position of the value of __name__ in labels without parsing them; from == to means that parsing
// is needed. It looks only for the plainest form, of letters, digits, '_' and ':', for which the rest of the labels
// means the same with any name. The labels of neighbours have it at the same position. In labels that are still in
// their quotes a quote is two.
func (w *Worker) nameIn(labels []byte, quote string) (from, to int) {
	start := labelOfName + `="`
	if len(quote) > 1 {
		start = labelOfName + `=""`
	}
	i := w.nameAt
	if i+len(start) > len(labels) || string(labels[i:i+len(start)]) != start {
		i = bytes.Index(labels, []byte(start))
	}
	first := len(quote) - 1 // behind the quote that begins the cell
	if i < first || i > first && labels[i-1] != ',' && labels[i-1] != '{' && labels[i-1] != ' ' {
		return 0, 0
	}
	w.nameAt = i
	from = i + len(start)
	for to = from; to < len(labels) && nameByte(labels[to]); to++ {
	}
	if !bytes.HasPrefix(labels[to:], []byte(quote)) || to-from > longestName {
		return 0, 0
	}
	return from, to
}

const longestName = 200

func nameByte(c byte) bool {
	return c == '_' || c == ':' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
