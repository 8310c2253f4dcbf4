package unpack

import (
	"cmp"

	"filippo.io/age"
)

// Options bound unpacking. The zero value of each field means its default.
type Options struct {
	MaxPacked  int64          // bytes of a packed file; default 100 MiB
	MaxText    int64          // bytes that come out of it; default 1 GiB
	MaxRatio   int64          // bytes that may come out for each that went in; default 200
	Identities []age.Identity // that open encrypted files; without one they are refused
}

// ratioFreeBytes is how much may come out before the ratio counts: small files of little content are honest, and
// unpacking this much costs next to nothing.
const ratioFreeBytes = 8 << 20

// Further bounds, at the defaults of packing programs.
const (
	maxLayers = 4
	maxWindow = 8 << 20  // of zstd: all levels up to 19, without --long
	maxHeader = 64 << 10 // of age: some hundred recipients
)

func (o Options) withDefaults() Options {
	o.MaxPacked = cmp.Or(o.MaxPacked, 100<<20)
	o.MaxText = cmp.Or(o.MaxText, 1<<30)
	o.MaxRatio = cmp.Or(o.MaxRatio, 200)
	return o
}
