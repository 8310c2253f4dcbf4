package transfer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"telemetry-pipeline/events"
)

// format writes events as text.
type format interface {
	header() []byte
	appendEvent(dst []byte, ev *events.Event) ([]byte, error)
}

// sink is a destination of exported events.
type sink interface {
	writeEvent(ev *events.Event) (bytes int, err error)
	Close() error
}

// stream writes all events to one writer.
type stream struct {
	w      io.Writer
	format format
	begun  bool
	buf    []byte
}

func (s *stream) writeEvent(ev *events.Event) (int, error) {
	s.buf = s.buf[:0]
	if !s.begun {
		s.begun, s.buf = true, append(s.buf, s.format.header()...)
	}
	var err error
	if s.buf, err = s.format.appendEvent(s.buf, ev); err != nil {
		return 0, err
	}
	return s.w.Write(s.buf)
}

// Close writes a header if there is nothing else, so that an empty table is one.
func (s *stream) Close() error {
	if s.begun {
		return nil
	}
	_, err := s.w.Write(s.format.header())
	return err
}

// maxOpen bounds the number of open files.
const maxOpen = 64

// files writes a file per upload. It never touches a file that it has not made itself.
type files struct {
	dir    string
	suffix string
	format format
	made   map[string]bool
	open   map[string]*os.File
	order  []string // of open, in order of opening
}

func newFiles(dir, suffix string, f format) (*files, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the directory for exported files: %w", err)
	}
	return &files{dir: dir, suffix: suffix, format: f, made: make(map[string]bool), open: make(map[string]*os.File)}, nil
}

func (f *files) writeEvent(ev *events.Event) (int, error) {
	file, fresh, err := f.openFile(fileName(ev.Upload) + f.suffix)
	if err != nil {
		return 0, err
	}
	var text []byte
	if fresh {
		text = f.format.header()
	}
	if text, err = f.format.appendEvent(text, ev); err != nil {
		return 0, err
	}
	return file.Write(text)
}

// openFile opens a file at its end; a new one must not exist.
func (f *files) openFile(name string) (file *os.File, fresh bool, err error) {
	if file = f.open[name]; file != nil {
		return file, false, nil
	}
	if len(f.order) == maxOpen {
		oldest := f.order[0]
		err := f.open[oldest].Close()
		f.order = f.order[1:]
		delete(f.open, oldest)
		if err != nil {
			return nil, false, err
		}
	}
	fresh = !f.made[name]
	mode := os.O_WRONLY | os.O_APPEND
	if fresh {
		mode |= os.O_CREATE | os.O_EXCL
	}
	file, err = os.OpenFile(filepath.Join(f.dir, name), mode, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, false, fmt.Errorf("%s is there already: export to an empty directory", filepath.Join(f.dir, name))
	}
	if err != nil {
		return nil, false, fmt.Errorf("writing exported events: %w", err)
	}
	f.made[name], f.open[name], f.order = true, file, append(f.order, name)
	return file, fresh, nil
}

func (f *files) Close() error {
	var errs []error
	for _, name := range f.order {
		errs = append(errs, f.open[name].Close())
	}
	return errors.Join(errs...)
}

// fileName returns a file name for an upload's id that is valid on every system; two ids never share one.
func fileName(id events.UploadID) string {
	if id == "" {
		return "no-upload"
	}
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if id == "no-upload" {
		return "%6Eo-upload"
	}
	return b.String()
}
