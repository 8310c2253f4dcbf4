package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// blockBytes is the size of one read of an object: a round trip to object storage costs as much as some hundred thousand
// bytes.
const blockBytes = 256 << 10

// wholeBytes is the size up to which a scan reads an object at once: that is one round trip instead of several, and allows
// checking the hash. Objects of MaxRecords ordinary records are smaller.
const wholeBytes = 4 << 20

// rangeReader reads an object in blocks and caches them. Not safe for concurrent use.
type rangeReader struct {
	ctx    context.Context
	bucket *blob.Bucket
	object Object
	blocks map[int64][]byte
	cost   *Cost
}

// ReadAt implements io.ReaderAt.
func (r *rangeReader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		if off >= r.object.Bytes {
			return n, io.EOF
		}
		number := off / blockBytes
		if _, known := r.blocks[number]; !known {
			if err := r.fetchBlocks(number, (off+int64(len(p)-n)-1)/blockBytes); err != nil {
				return n, err
			}
		}
		copied := copy(p[n:], r.blocks[number][off-number*blockBytes:])
		n, off = n+copied, off+int64(copied)
	}
	return n, nil
}

// fetchBlocks reads adjacent blocks from first up to last that are not cached, in one request.
func (r *rangeReader) fetchBlocks(first, last int64) error {
	end := first + 1
	for end <= last && r.blocks[end] == nil {
		end++
	}
	begin, size := first*blockBytes, min(end*blockBytes, r.object.Bytes)-first*blockBytes
	content := make([]byte, size)
	r.cost.Bytes.Add(size)
	in, err := r.bucket.NewRangeReader(r.ctx, r.object.Name, begin, size, nil)
	if err != nil {
		return r.readError(err)
	}
	_, err = io.ReadFull(in, content)
	if err := errors.Join(err, in.Close()); err != nil {
		return r.readError(err)
	}
	for number := first; number < end; number++ {
		n := min(blockBytes, len(content))
		r.blocks[number], content = content[:n:n], content[n:]
	}
	return nil
}

func (r *rangeReader) readError(err error) error {
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return fmt.Errorf("reading archive object %s: %w", r.object.Name, ErrMissing)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &DamagedError{r.object.Name, "it is shorter than it was"}
	}
	return fmt.Errorf("reading archive object %s: %w", r.object.Name, err)
}

// recoverToDamage calls f and returns a panic of it as a DamagedError. f reads an object whose hash may not have been checked,
// and the library panics on some contents that are no Parquet.
func recoverToDamage(o Object, f func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = &DamagedError{o.Name, fmt.Sprintf("reading it fails: %v", cause)}
		}
	}()
	return f()
}
