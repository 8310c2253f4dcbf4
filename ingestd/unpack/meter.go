package unpack

import (
	"fmt"
	"io"
)

// intake is what a file is packed in, as it was sent: counted, and bounded once it is known to be packed.
// It remembers the error of whoever sends it, which decoders would make one of their own.
type intake struct {
	src    io.Reader
	n      int64
	most   int64 // 0: no bound
	failed error
}

func (i *intake) Read(p []byte) (int, error) {
	if i.failed != nil {
		return 0, i.failed
	}
	n, err := i.src.Read(p)
	i.n += int64(n)
	if i.most > 0 && i.n > i.most {
		err = failed(TooLarge, nil, "the packed file is larger than %d bytes, the most that is unpacked; split it before packing, "+
			"or raise the server's flag ingest.max-packed-size", i.most)
	}
	if err != nil && err != io.EOF {
		i.failed = err
	}
	return n, err
}

// layer is what comes out of one decoder, bounded.
type layer struct {
	name string
	src  io.Reader
	in   *intake
	opt  *Options
	out  *layer // the one around this one; nil for the outermost
	n    int64
	over error // it gave too much, or failed
}

func (l *layer) Read(p []byte) (int, error) {
	if l.over != nil {
		return 0, l.over
	}
	n, err := l.src.Read(p)
	l.n += int64(n)
	if err != nil && err != io.EOF {
		l.over = l.explain(err)
		return n, l.over
	}
	if over := l.judge(); over != nil {
		l.over = over
		return 0, over
	}
	return n, err
}

func (l *layer) judge() error {
	switch {
	case l.n > l.opt.MaxText:
		return failed(TooLarge, nil, "the %s file unpacks to more than %d bytes, the most that is taken; split it, "+
			"or raise the server's flag ingest.max-unpacked-size", l.name, l.opt.MaxText)
	case l.n > unjudged && l.n/l.opt.MaxRatio > l.in.n:
		return failed(Bomb, nil, "the %s file unpacks to more than %d times its size, which telemetry does not; send it unpacked, "+
			"or raise the server's flag ingest.max-unpack-ratio", l.name, l.opt.MaxRatio)
	}
	return nil
}

// explain finds the reason of a decoder's error: the sender's own if there is one, else that of a layer
// around this one.
func (l *layer) explain(err error) error {
	if l.in.failed != nil {
		return l.in.failed
	}
	if l.out != nil && l.out.over != nil {
		return l.out.over
	}
	if e, ok := asError(err); ok {
		return e
	}
	return damaged(l.name, plain(err))
}

// plain is an error without the abrupt words of readers.
func plain(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("its end is missing: %w", err)
	}
	return err
}
