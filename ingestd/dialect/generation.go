package dialect

import (
	"bytes"

	"telemetry-pipeline/events/metric"
)

// Generation tells which generation of names a file has: what the sender says of its exporter, else what one of
// the names at its beginning proves.
func Generation(f File, opt Options) metric.Generation {
	if g, err := metric.GenerationOf(opt.Exporter); err == nil {
		return g
	}
	for _, name := range f.Header {
		if g := metric.Proves(string(name)); g != metric.AnyGeneration {
			return g
		}
	}
	for word := range bytes.FieldsFuncSeq(f.Head, func(r rune) bool { return !nameRune(r) }) {
		if len(word) < 5 || !bytes.EqualFold(word[:5], []byte("dcgm_")) {
			continue
		}
		if g := metric.Proves(string(word)); g != metric.AnyGeneration {
			return g
		}
	}
	return metric.AnyGeneration
}

// CheckExporter tells what is wrong with an Options.Exporter.
func CheckExporter(version string) error {
	_, err := metric.GenerationOf(version)
	return err
}

func nameRune(r rune) bool {
	return r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
