package unpack

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
)

// Reader reads the text of a file, packed or not. Its errors are the errors of the reader below, io.EOF, or an
// *Error. It is not safe for concurrent use.
type Reader struct {
	text    io.Reader
	in      *packedInput
	inner   *layer // the innermost; nil when there is none
	opt     Options
	layers  []string
	closers []func()
}

// Open returns a reader of the text of r, without the packings that its beginning shows. It waits only for the bytes that it needs
// for that. The caller closes the Reader.
func Open(r io.Reader, opt Options) (*Reader, error) {
	return openLayers(r, opt, nil)
}

// Decode removes the codings of an HTTP header Content-Encoding, and nothing else. An unknown coding is Unsupported,
// and a body without the coding it claims is Damaged.
func Decode(r io.Reader, encoding string, opt Options) (*Reader, error) {
	codings := codingsOf(encoding)
	for _, c := range codings {
		if c != nameGzip && c != nameZstd {
			return nil, newError(Unsupported, nil, "the Content-Encoding %q is not known; send the body as it is, or with gzip or zstd", c)
		}
	}
	return openLayers(r, opt, codings)
}

// codingsOf returns the codings, outermost first.
func codingsOf(encoding string) []string {
	codings := []string{}
	for c := range strings.SplitSeq(encoding, ",") {
		switch c = strings.ToLower(strings.TrimSpace(c)); c {
		case "", "identity":
		case "x-gzip":
			codings = append(codings, nameGzip)
		default:
			codings = append(codings, c)
		}
	}
	slices.Reverse(codings)
	return codings
}

// openLayers removes the codings, or, when these are nil, every known packing.
func openLayers(src io.Reader, opt Options, codings []string) (*Reader, error) {
	r := &Reader{in: &packedInput{src: src}, opt: opt.withDefaults()}
	text := bufio.NewReaderSize(r.in, longestMagic)
	for codings == nil || len(r.layers) < len(codings) {
		p, packed := recognizePacking(text)
		if codings != nil && p.name != codings[len(r.layers)] {
			if _, err := text.Peek(1); err == io.EOF {
				break // an empty body in any coding is empty
			}
			return r.closeWith(r.findCause(newError(Damaged, nil, "the body is not %s, as its Content-Encoding says; leave that header out", codings[len(r.layers)])))
		}
		if !packed {
			break
		}
		next, err := r.openLayer(p, text)
		if err != nil {
			return r.closeWith(err)
		}
		text = next
	}
	r.text = text
	return r, nil
}

func (r *Reader) closeWith(err error) (*Reader, error) {
	r.Close()
	return nil, err
}

// openLayer opens one layer.
func (r *Reader) openLayer(p packing, packed *bufio.Reader) (*bufio.Reader, error) {
	switch {
	case p.open == nil:
		return nil, newError(Unsupported, nil, "the file is packed with %s; unpack it first, or pack it with gzip or zstd", p.name)
	case len(r.layers) == maxLayers:
		return nil, newError(Unsupported, nil, "the file is packed %d times and more (%s); unpack it first", maxLayers, strings.Join(r.layers, ", "))
	}
	r.in.maxBytes = r.opt.MaxPacked
	l := &layer{name: p.name, in: r.in, opt: &r.opt, outer: r.inner}
	text, err := p.open(bufio.NewReader(packed), r.opt)
	if err != nil {
		return nil, l.findCause(err)
	}
	if p.close != nil {
		r.closers = append(r.closers, func() { p.close(text) })
	}
	l.src, r.inner = text, l
	r.layers = append(r.layers, p.name)
	return bufio.NewReader(l), nil
}

// findCause returns the error of the reader or layer below, if there is one, else err.
func (r *Reader) findCause(err error) error {
	switch {
	case r.in.err != nil:
		return r.in.err
	case r.inner != nil && r.inner.err != nil:
		return r.inner.err
	}
	return err
}

// Read returns text as it arrives.
func (r *Reader) Read(p []byte) (int, error) { return r.text.Read(p) }

// Layers returns the names of the removed packings, outermost first; none when the file was not packed.
func (r *Reader) Layers() []string { return r.layers }

// Close releases the decoders. The reader below is not touched.
func (r *Reader) Close() {
	for _, c := range slices.Backward(r.closers) {
		c()
	}
	r.closers = nil
}

// ProbeRatio reads text until it is known whether the file's ratio is too high, so that a file refused for its
// content is called a bomb when it is one.
func (r *Reader) ProbeRatio() error {
	if len(r.layers) == 0 {
		return nil
	}
	_, err := io.CopyN(io.Discard, r, ratioFreeBytes+1)
	if e, ok := asError(err); ok && (e.Kind == Bomb || e.Kind == TooLarge) {
		return e
	}
	return nil
}

func asError(err error) (*Error, bool) { return errors.AsType[*Error](err) }
