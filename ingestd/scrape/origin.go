package scrape

import (
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"telemetry-pipeline/ingestd/dialect"
)

// setOrigin holds the origins of the samples with one set of labels.
type setOrigin struct{ timed, received *dialect.Origin }

// lookupOrigin returns a sample's origin. The samples of a GPU have the same labels, so it is built once.
func (w *worker) lookupOrigin(s *sample, received bool) *dialect.Origin {
	if s.set == 0 {
		return w.findOrigin(s, received)
	}
	for int(s.set) > len(w.bySet) {
		w.bySet = append(w.bySet, setOrigin{})
	}
	known := &w.bySet[s.set-1].timed
	if received {
		known = &w.bySet[s.set-1].received
	}
	if *known == nil {
		*known = w.findOrigin(s, received)
	}
	return *known
}

// findOrigin returns a sample's origin by the text of its labels.
func (w *worker) findOrigin(s *sample, received bool) *dialect.Origin {
	key := append(w.key[:0], s.labels...)
	if received {
		key = append(key, '\n') // a line has none
	}
	w.key = key
	if o := w.origins.Get(key); o != nil {
		return o
	}
	w.source.Reset()
	s.labelSet().Range(func(l labels.Label) {
		if l.Name != nameLabel {
			field, rank := fieldOf(l)
			w.source.Column(field, rank, l.Name, []byte(l.Value))
		}
	})
	if received {
		w.source.Column(dialect.Label, 1, "time_source", []byte("received"))
	}
	return w.origins.Learn(key, &w.source)
}

// fieldOf returns the field of a label. OpenTelemetry names a device by hw.id, which holds the name from its source.
func fieldOf(l labels.Label) (dialect.Field, dialect.Rank) {
	field, rank := dialect.FieldOf(l.Name)
	switch {
	case l.Name == "hw_id" || l.Name == "hw.id":
		return deviceField(l.Value), 9
	case field < dialect.Host: // a label named value is not the value
		return dialect.Label, 1
	}
	return field, rank
}

func deviceField(id string) dialect.Field {
	switch {
	case strings.HasPrefix(id, "GPU-") || strings.HasPrefix(id, "MIG-"):
		return dialect.UUID
	case strings.Contains(id, ":"):
		return dialect.PCI
	case id != "" && strings.Trim(id, "0123456789") == "":
		return dialect.Index
	}
	return dialect.Label
}

// namesEntity reports whether labels name a GPU or another entity that has readings.
func namesEntity(set labels.Labels) bool {
	names := false
	set.Range(func(l labels.Label) {
		switch field, _ := fieldOf(l); {
		case l.Value == "":
		case field == dialect.UUID, field == dialect.Index, field == dialect.PCI, field == dialect.Device,
			l.Name == "nvswitch", l.Name == "cpu", l.Name == "cpucore", l.Name == "hw_id", l.Name == "hw.id":
			names = true
		}
	})
	return names
}
