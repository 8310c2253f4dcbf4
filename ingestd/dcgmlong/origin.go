package dcgmlong

import (
	"bytes"

	"telemetry-pipeline/ingestd/dialect"
)

// labelOfName is the label in which Prometheus keeps a metric's name.
const labelOfName = "__name__"

// origin finds where a row comes from, and the metric's name by its labels. Rows of one GPU say the same
// but for that name, so it is cut out of what the origin is remembered by: a GPU is worked out once, not
// once per metric.
func (w *Worker) origin(cells [][]byte) (o *dialect.Origin, labelled []byte) {
	key := w.key[:0]
	for _, i := range w.at {
		key = append(append(key, cells[i]...), 0) // a row with a NUL is a fault
	}
	if w.labels >= 0 {
		cell := cells[w.labels]
		from, to := w.nameIn(cell)
		labelled = cell[from:to]
		key = append(append(append(key, cell[:from]...), 0), cell[to:]...)
	}
	w.key = key
	if o = w.origins.Get(key); o == nil {
		o = w.learn(cells)
	}
	switch {
	case o.BadLabels != "":
		labelled = nil
	case len(labelled) == 0:
		labelled = []byte(o.Metric)
	}
	return o, labelled
}

// learn works an origin out.
func (w *Worker) learn(cells [][]byte) *dialect.Origin {
	w.source.Reset()
	for i, col := range w.sources {
		w.source.Column(col.Field, col.Rank, col.Name, cells[w.at[i]])
	}
	if w.labels >= 0 {
		w.source.Labels(cells[w.labels])
	}
	return w.origins.Learn(w.key, &w.source)
}

// nameIn finds the value of __name__ in labels without parsing them; from == to: it takes parsing. It looks
// only for the plainest form, of letters, digits, '_' and ':', for which the rest of the labels means the
// same whatever the name is. The labels of neighbours have it at the same place.
func (w *Worker) nameIn(labels []byte) (from, to int) {
	const start = labelOfName + `="`
	i := w.nameAt
	if i+len(start) > len(labels) || string(labels[i:i+len(start)]) != start {
		i = bytes.Index(labels, []byte(start))
	}
	if i < 0 || i > 0 && labels[i-1] != ',' && labels[i-1] != '{' && labels[i-1] != ' ' {
		return 0, 0
	}
	w.nameAt = i
	from = i + len(start)
	for to = from; to < len(labels) && nameByte(labels[to]); to++ {
	}
	if to == len(labels) || labels[to] != '"' || to-from > longestName {
		return 0, 0
	}
	return from, to
}

const longestName = 200

func nameByte(c byte) bool {
	return c == '_' || c == ':' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
