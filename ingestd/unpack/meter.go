package unpack

import (
	"fmt"
	"io"
)

// packedInput is the packed file as it was sent: counted, and bounded once it is known to be packed. It remembers the
// sender's error, which decoders would replace by one of their own.
type packedInput struct {
	src      io.Reader
	n        int64
	maxBytes int64 // 0: no bound
	err      error
}

func (i *packedInput) Read(p []byte) (int, error) {
	if i.err != nil {
		return 0, i.err
	}
	n, err := i.src.Read(p)
	i.n += int64(n)
	if i.maxBytes > 0 && i.n > i.maxBytes {
		err = newError(TooLarge, nil, "the packed file is larger than %d bytes, the most that is unpacked; split it before packing, "+
			"or raise the server's flag ingest.max-packed-size", i.maxBytes)
	}
	if err != nil && err != io.EOF {
		i.err = err
	}
	return n, err
}

// layer is the bounded output of one decoder.
type layer struct {
	name  string
	src   io.Reader
	in    *packedInput
	opt   *Options
	outer *layer // the layer around this one; nil for the outermost
	n     int64
	err   error // its bound was exceeded, or its decoder failed
}

func (l *layer) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.src.Read(p)
	l.n += int64(n)
	if err != nil && err != io.EOF {
		l.err = l.findCause(err)
		return n, l.err
	}
	if over := l.checkBounds(); over != nil {
		l.err = over
		return 0, over
	}
	return n, err
}

func (l *layer) checkBounds() error {
	switch {
	case l.n > l.opt.MaxText:
		return newError(TooLarge, nil, "the %s file unpacks to more than %d bytes, the most that is taken; split it, "+
			"or raise the server's flag ingest.max-unpacked-size", l.name, l.opt.MaxText)
	case l.n > ratioFreeBytes && l.n/l.opt.MaxRatio > l.in.n:
		return newError(Bomb, nil, "the %s file unpacks to more than %d times its size, which telemetry does not; send it unpacked, "+
			"or raise the server's flag ingest.max-unpack-ratio", l.name, l.opt.MaxRatio)
	}
	return nil
}

// findCause returns the reason of a decoder's error: the sender's error if there is one, else the error of a layer
// around this one.
func (l *layer) findCause(err error) error {
	if l.in.err != nil {
		return l.in.err
	}
	if l.outer != nil && l.outer.err != nil {
		return l.outer.err
	}
	if e, ok := asError(err); ok {
		return e
	}
	return damagedError(l.name, explainEOF(err))
}

// explainEOF returns an error without the abrupt words of readers.
func explainEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("its end is missing: %w", err)
	}
	return err
}
