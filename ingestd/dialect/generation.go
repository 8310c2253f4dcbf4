package dialect

import (
	"bytes"
	"iter"

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
	for word := range dcgmWords(f.Head) {
		if g := metric.GenerationOfName(string(word)); g != metric.AnyGeneration {
			return g
		}
	}
	return metric.AnyGeneration
}

// dcgmWords yields the words of a text that begin with dcgm_, in any case. It looks at the underscores first, which are
// few.
func dcgmWords(text []byte) iter.Seq[[]byte] {
	const prefix = "dcgm"
	return func(yield func([]byte) bool) {
		for pos := 0; ; {
			i := bytes.IndexByte(text[pos:], '_')
			if i < 0 {
				return
			}
			from := pos + i - len(prefix)
			pos += i + 1
			if from < 0 || !bytes.EqualFold(text[from:pos-1], []byte(prefix)) {
				continue
			}
			if from > 0 && nameRune(rune(text[from-1])) {
				continue
			}
			for pos < len(text) && nameRune(rune(text[pos])) {
				pos++
			}
			if !yield(text[from:pos]) {
				return
			}
		}
	}
}

// CheckExporter returns an error if version is no valid Options.Exporter.
func CheckExporter(version string) error {
	_, err := metric.GenerationOf(version)
	return err
}

func nameRune(r rune) bool {
	return r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
