package dialect

import (
	"bytes"

	"telemetry-pipeline/events/metric"
)

// Generation returns the generation of metric names in a file: by the exporter version of the sender, else by one of
// the names at its beginning that proves it.
func Generation(f File, opt Options) metric.Generation {
	if g, err := metric.GenerationOf(opt.Exporter); err == nil {
		return g
	}
	for _, name := range f.Header {
		if g := metric.GenerationOfName(string(name)); g != metric.AnyGeneration {
			return g
		}
	}
	for word := range bytes.FieldsFuncSeq(f.Head, func(r rune) bool { return !nameRune(r) }) {
		if len(word) < 5 || !bytes.EqualFold(word[:5], []byte("dcgm_")) {
			continue
		}
		if g := metric.GenerationOfName(string(word)); g != metric.AnyGeneration {
			return g
		}
	}
	return metric.AnyGeneration
}

// CheckExporter returns an error if version is no valid Options.Exporter.
func CheckExporter(version string) error {
	_, err := metric.GenerationOf(version)
	return err
}

func nameRune(r rune) bool {
	return r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
