package intake

import (
	"cmp"
	"flag"
	"fmt"

	"telemetry-pipeline/ingestd/unpack"
)

// Limits bound one upload, besides its size. The zero value of each field means its default.
type Limits struct {
	Files       int   // in one upload; default 100
	Rows        int64 // of one file; default 100,000,000
	Columns     int   // of one file; default 4,096
	LineBytes   int   // of one row; default 64 KiB. A longer one costs itself
	HeaderBytes int   // of a request's header, a longer one is answered 431; default 16 KiB. It has no flag

	PackedSize   int64 // bytes of a packed file as it is sent; default 100 MiB
	UnpackedSize int64 // bytes that come out of it; default 1 GiB
	UnpackRatio  int64 // bytes that may come out for each that went in; default 200
}

// Flags registers the settings.
func (l *Limits) Flags(fs *flag.FlagSet) {
	d := l.WithDefaults()
	fs.IntVar(&l.Files, "ingest.max-files", d.Files, "most files in one upload")
	fs.Int64Var(&l.Rows, "ingest.max-rows", d.Rows, "most rows in one file")
	fs.IntVar(&l.Columns, "ingest.max-columns", d.Columns, "most columns in one file")
	fs.IntVar(&l.LineBytes, "ingest.max-line", d.LineBytes, "longest row, in bytes; a longer one is rejected, the file goes on")
	fs.Int64Var(&l.PackedSize, "ingest.max-packed-size", d.PackedSize, "largest gzip, zstd or age file that is unpacked, in bytes as sent")
	fs.Int64Var(&l.UnpackedSize, "ingest.max-unpacked-size", d.UnpackedSize, "most bytes that a file may unpack to")
	fs.Int64Var(&l.UnpackRatio, "ingest.max-unpack-ratio", d.UnpackRatio, "most bytes that may come out of a packed file for each that went in, once 8 MiB have come")
}

// WithDefaults returns the limits with defaults in place of zeros.
func (l Limits) WithDefaults() Limits {
	l.Files = cmp.Or(l.Files, 100)
	l.Rows = cmp.Or(l.Rows, 100_000_000)
	l.Columns = cmp.Or(l.Columns, 4096)
	l.LineBytes = cmp.Or(l.LineBytes, 64<<10)
	l.HeaderBytes = cmp.Or(l.HeaderBytes, 16<<10)
	l.PackedSize = cmp.Or(l.PackedSize, 100<<20)
	l.UnpackedSize = cmp.Or(l.UnpackedSize, 1<<30)
	l.UnpackRatio = cmp.Or(l.UnpackRatio, 200)
	return l
}

// CheckFlags refuses limits with which nothing could work, by the name of the flag.
func (l Limits) CheckFlags() error {
	for _, p := range []struct {
		name  string
		value int64
	}{
		{"ingest.max-files", int64(l.Files)},
		{"ingest.max-rows", l.Rows},
		{"ingest.max-columns", int64(l.Columns)},
		{"ingest.max-line", int64(l.LineBytes)},
		{"ingest.max-packed-size", l.PackedSize},
		{"ingest.max-unpacked-size", l.UnpackedSize},
		{"ingest.max-unpack-ratio", l.UnpackRatio},
	} {
		if p.value < 0 {
			return fmt.Errorf("flag %s is %d; it must be positive", p.name, p.value)
		}
	}
	if l.HeaderBytes < 0 {
		return fmt.Errorf("Limits.HeaderBytes is %d; it must be positive", l.HeaderBytes)
	}
	return nil
}

// Unpacking returns the bounds of unpacking.
func (l Limits) Unpacking() unpack.Options {
	return unpack.Options{MaxPacked: l.PackedSize, MaxText: l.UnpackedSize, MaxRatio: l.UnpackRatio}
}
