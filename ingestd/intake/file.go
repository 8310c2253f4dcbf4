package intake

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/zeebo/xxh3"

	"telemetry-pipeline/ingestd/answer"
)

// File is an uploaded file as it is read: counted and hashed as sent.
type File struct {
	Name      string
	Text      io.Reader
	onlyFile  bool        // no file follows it
	interrupt func(error) // ends a read of src that waits, and all of the upload; nil where no read waits

	// Enlarge takes the memory for a large text and returns a function that returns it; nil where the file has that memory.
	Enlarge func(ctx context.Context) (leave func(), err error)

	Reopen   func() (io.ReadCloser, error) // reads the file from its beginning; nil where that cannot be
	Live     *Body                         // the body of the file, if it may still be being written
	bodyText *Packed                       // the decoder of the body's Content-Encoding, if the body is the file
	Progress func(rows int64)              // is called with the number of rows read so far; may be nil

	Size int64
	hash *xxh3.Hasher128

	mu        sync.Mutex
	stopCause error // why it is not to be read any more
	readErr   error // the error of src, when not io.EOF
}

// NewFile returns a file that reads its content from src. interrupt ends a read that waits; nil where none does.
func NewFile(name string, src io.Reader, interrupt func(error)) *File {
	return &File{Name: name, Text: src, interrupt: interrupt, hash: xxh3.New128()}
}

// Read reads the content.
func (f *File) Read(p []byte) (int, error) {
	if err := f.stopError(); err != nil {
		return 0, err
	}
	n, err := f.Text.Read(p)
	f.Size += int64(n)
	_, _ = f.hash.Write(p[:n]) // never fails
	if err != nil && err != io.EOF {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.readErr = err
	}
	return n, err
}

// StopReading ends the reading with cause, from another goroutine. A cause that concerns this file alone spares the
// files behind it: then the read under way is waited for.
func (f *File) StopReading(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopCause == nil {
		f.stopCause = cause
	}
	if f.interrupt != nil && (f.onlyFile || !answer.CostsOneFile(cause)) {
		f.interrupt(cause)
	}
}

func (f *File) stopError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stopCause
}

// SourceError returns the error after which the upload has no more files: its source failed, or was stopped.
func (f *File) SourceError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readErr != nil {
		return f.readErr
	}
	if f.stopCause != nil && !answer.CostsOneFile(f.stopCause) {
		return f.stopCause
	}
	return nil
}

// ContentHash returns the hash of the bytes read so far, named by its algorithm.
func (f *File) ContentHash() string {
	sum := f.hash.Sum128().Bytes()
	return fmt.Sprintf("xxh3-128:%x", sum)
}

// BaseName returns a file's name as answers and logs show it: without folders and control characters.
func BaseName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	if name == "." || name == "/" {
		return ""
	}
	return strings.ToValidUTF8(name[:min(len(name), 255)], "") // which may have cut a character
}

// IsControl reports whether a character of a name is a control character.
func IsControl(r rune) bool { return r < ' ' || r == 0x7f }
