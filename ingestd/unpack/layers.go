package unpack

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// packing is a way to pack a file, recognized by its first bytes.
type packing struct {
	name  string
	magic string
	open  func(r *bufio.Reader, opt Options) (io.Reader, error) // nil: known, but not supported
	close func(io.Reader)                                       // may be nil
}

const (
	nameGzip = "gzip"
	nameZstd = "zstd"
	nameAge  = "age"
)

// knownPackings returns the packings that are recognized.
func knownPackings() []packing {
	all := []packing{
		{name: nameGzip, magic: "\x1f\x8b", open: openGzip},
		{name: nameZstd, magic: "\x28\xb5\x2f\xfd", open: openZstd, close: closeZstd},
		{name: nameAge, magic: "age-encryption.org/v1\n", open: openAge},
		{name: nameAge, magic: armor.Header, open: openArmored},
		{name: "bzip2", magic: "BZh"},
		{name: "xz", magic: "\xfd7zXZ\x00"},
		{name: "lz4", magic: "\x04\x22\x4d\x18"},
		{name: "7z", magic: "7z\xbc\xaf\x27\x1c"},
		{name: "zip", magic: "PK\x03\x04"},
	}
	for low := byte(0x50); low < 0x60; low++ { // a skippable frame, with which some programs begin
		all = append(all, packing{name: nameZstd, magic: string([]byte{low, 0x2a, 0x4d, 0x18}), open: openZstd, close: closeZstd})
	}
	return all
}

// firstOfMagics holds the bytes with which a known packing may begin. Most text begins with none of them.
const firstOfMagics = "\x04\x1f\x28\xfda-B7PQRSTUVWXYZ[\\]^_"

// longestMagic is enough for every magic.
const longestMagic = 64

// recognizePacking returns the packing of r. It waits for no more bytes than it needs.
func recognizePacking(r *bufio.Reader) (packing, bool) {
	if first, err := r.Peek(1); err != nil || strings.IndexByte(firstOfMagics, first[0]) < 0 {
		return packing{}, false
	}
	for _, p := range knownPackings() {
		if hasMagic(r, p.magic) {
			return p, true
		}
	}
	return packing{}, false
}

// hasMagic reports whether r begins with magic. It waits for a byte only when all before it match.
func hasMagic(r *bufio.Reader, magic string) bool {
	for n := 1; n <= len(magic); n++ {
		head, err := r.Peek(n)
		if err != nil || head[n-1] != magic[n-1] {
			return false
		}
	}
	return true
}

func openGzip(r *bufio.Reader, _ Options) (io.Reader, error) { return gzip.NewReader(r) }

func openZstd(r *bufio.Reader, _ Options) (io.Reader, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return zstdText{d}, nil
}

func closeZstd(r io.Reader) { r.(zstdText).Close() }

// zstdText adds advice to the error of a window that is too large.
type zstdText struct{ *zstd.Decoder }

func (z zstdText) Read(p []byte) (int, error) {
	n, err := z.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = newError(Unsupported, err, "the zstd file needs a window of more than %d MiB to be unpacked; pack it with zstd -19 or less and without --long",
			maxWindow>>20)
	}
	return n, err
}

func openArmored(r *bufio.Reader, opt Options) (io.Reader, error) {
	return openAge(bufio.NewReader(armor.NewReader(r)), opt)
}

// openAge decrypts. The text it returns has been authenticated.
func openAge(r *bufio.Reader, opt Options) (io.Reader, error) {
	if len(opt.Identities) == 0 {
		return nil, newError(Locked, nil, "the file is encrypted with age, and this server has no identity to open it with; "+
			"send it decrypted, or have the server's flag ingest.age-identity name a file with one")
	}
	header := &headerLimiter{src: r, left: maxHeader}
	text, err := age.Decrypt(header, opt.Identities...)
	if _, locked := errors.AsType[*age.NoIdentityMatchError](err); locked {
		return nil, newError(Locked, err, "the file is encrypted with age, but not to this server; "+
			"encrypt it to the recipient of one of its identities (age-keygen -y)")
	}
	header.left = -1
	return text, err
}

// headerLimiter lets left bytes through, and any number while left is negative. The library reads a header of any
// length into memory.
type headerLimiter struct {
	src  io.Reader
	left int
}

var errHeader = errors.New("its header has no end")

func (f *headerLimiter) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, errHeader
	}
	if f.left > 0 {
		p = p[:min(len(p), f.left)]
	}
	n, err := f.src.Read(p)
	if f.left > 0 {
		f.left -= n
	}
	return n, err
}
