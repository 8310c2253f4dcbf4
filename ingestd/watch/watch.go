package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"telemetry-pipeline/ingestd/upload"
)

// sender delivers a file, however often that takes (upload.Client).
type sender interface {
	Send(ctx context.Context, f upload.Source, sent func(int64), retry func(upload.Attempt)) (*upload.Answer, error)
}

// Watcher ships the growing files of one directory. Run does the work.
type Watcher struct {
	cfg      Config
	dir      string
	headless bool
	to       sender
	lg       *slog.Logger

	files []*progress
	done  map[string]look // by name: how files looked when all of them was shipped
	held  map[string]held // by name: files that the server refuses, or that cannot be read
}

// look is how a file looks from outside.
type look struct {
	size    int64
	at      time.Time
	settled bool // nobody writes to it any more
}

// settledAfter is how long nothing was written to a file of which nothing more is waited for.
const settledAfter = time.Hour

// held is a file that is left alone until it looks different or some time has passed.
type held struct {
	look
	until time.Time
}

// New makes a watcher; it reads what is shipped already, and ships nothing yet. headless says that the
// files have no header, because the sender knows their columns.
func New(cfg Config, dir string, headless bool, to sender, lg *slog.Logger) (*Watcher, error) {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file; name the directory that it is in, and the file with -pattern %s", dir, filepath.Base(dir))
	}
	cfg = cfg.withDefaults(dir)
	if err := cfg.check(); err != nil {
		return nil, err
	}
	files, err := load(cfg.State)
	if err != nil {
		return nil, err
	}
	return &Watcher{cfg: cfg, dir: dir, headless: headless, to: to, lg: lg, files: files, done: map[string]look{}, held: map[string]held{}}, nil
}

// Run ships until ctx ends, or with Config.Once until everything that is there was tried. Its error is that
// shipped lines cannot be remembered, or with Config.Once that not everything could be shipped.
//
// It looks at sizes and times now and then instead of being told of changes, because logs lie on network file
// systems too, which do not tell.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.cfg.Interval)
	defer tick.Stop()
	for {
		err := w.sweep(ctx)
		if w.cfg.Once || errors.Is(err, errForgetful) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// errForgetful ends a watch whose progress cannot be kept.
var errForgetful = errors.New("what is shipped cannot be remembered")

// errLeft says that a sweep could not ship everything.
var errLeft = errors.New("not everything could be shipped; the log says why")

// sweep ships what the files have gained.
func (w *Watcher) sweep(ctx context.Context) error {
	names, err := w.list()
	if err != nil {
		w.lg.Error("looking for files", "err", err)
		return err
	}
	var left error
	for _, name := range names {
		if !w.cfg.matches(name) || ctx.Err() != nil {
			continue
		}
		if err := w.visit(ctx, name); errors.Is(err, errForgetful) {
			return err
		} else if err != nil {
			left = errLeft
		}
	}
	return errors.Join(left, ctx.Err())
}

// list gives the names of all files of the directory.
func (w *Watcher) list() (names []string, err error) {
	entries, err := os.ReadDir(w.dir)
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

// visit ships what one file has gained, unless it looks as it did the last time.
func (w *Watcher) visit(ctx context.Context, name string) error {
	file, info, err := w.open(name)
	if err != nil {
		return w.hold(ctx, name, look{}, err)
	}
	defer file.Close()
	now := look{info.Size(), info.ModTime(), time.Since(info.ModTime()) > settledAfter}
	if h, is := w.held[name]; is && h.look == now && time.Now().Before(h.until) {
		return errLeft
	}
	if w.done[name] == now {
		return nil
	}
	p, err := w.progressOf(ctx, name, file, info.Size())
	if err == nil {
		err = w.ship(ctx, name, file, now, p)
	}
	if err != nil {
		return w.hold(ctx, name, now, err)
	}
	delete(w.held, name)
	w.done[name] = now
	return nil
}

func (w *Watcher) open(name string) (*os.File, os.FileInfo, error) {
	file, err := os.Open(filepath.Join(w.dir, name))
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}

// ship uploads what is behind p, one shipment after the other.
func (w *Watcher) ship(ctx context.Context, name string, file io.ReaderAt, now look, p *progress) error {
	for ctx.Err() == nil {
		s, err := w.shipNext(ctx, name, file, now, p)
		if s == nil || err != nil {
			return err
		}
		if err := p.advance(file, s); err != nil {
			return err
		}
		if err := save(w.cfg.State, w.files); err != nil {
			return fmt.Errorf("%w: %w", errForgetful, err)
		}
	}
	return ctx.Err()
}

// shipNext uploads one shipment; nil: there is none. While nothing in it can be used it takes more of the file, as what comes
// after may be all right.
func (w *Watcher) shipNext(ctx context.Context, name string, file io.ReaderAt, now look, p *progress) (*shipment, error) {
	var end int64
	var refused error
	for most := int64(maxShipment); ; most *= 2 {
		s, err := next(file, now, p, w.headless, most)
		switch {
		case err != nil:
			return nil, err
		case s != nil && s.end == end: // another header follows, so there is no more of it
			return s, refused
		case s != nil:
			end, refused = s.end, w.deliver(ctx, name, s)
		}
		if more := p.Offset+most < now.size && most < maxUnusable; !more || s != nil && !errors.Is(refused, errUnusable) {
			return s, refused
		}
	}
}

// patience is how long a file that could not be shipped is left alone, unless it changes.
const patience = time.Minute

func (w *Watcher) hold(ctx context.Context, name string, now look, err error) error {
	if ctx.Err() != nil || errors.Is(err, errForgetful) {
		return err
	}
	w.held[name] = held{now, time.Now().Add(patience)}
	w.lg.Error("not shipped; it is kept, and tried again", "file", name, "err", err, "again_in", patience)
	return err
}

// deliver uploads a shipment and tells what was wrong with its lines.
func (w *Watcher) deliver(ctx context.Context, name string, s *shipment) error {
	content := s.content()
	source := upload.Source{
		Name: name, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
	answer, err := w.to.Send(ctx, source, nil, func(a upload.Attempt) {
		w.lg.Warn("the server cannot take it now", "file", name, "err", a.Err, "again_in", a.Again)
	})
	if err != nil {
		return err
	}
	switch {
	case answer.Success || hasNoRows(answer):
	case answer.Code == "no_usable_rows":
		return fmt.Errorf("%w: lines %d to %d: %s", errUnusable, s.first, s.lines, answer.Error)
	default:
		return fmt.Errorf("lines %d to %d: %s", s.first, s.lines, answer.Error)
	}
	for _, f := range answer.Errors {
		f.Line = s.lineOf(f.Line)
		w.lg.Warn("rejected", "file", name, "verdict", f.String())
	}
	w.lg.Info("shipped", "file", name, "lines", fmt.Sprintf("%d-%d", s.first, s.lines), "accepted", answer.Accepted,
		"duplicate", answer.Duplicate, "rejected", answer.Rejected, "absent", answer.Absent)
	return nil
}

// errUnusable is the refusal of a shipment in which there are rows, and none can be used.
var errUnusable = errors.New("no line can be used")

// hasNoRows tells that a shipment was refused for being nothing but a header, which a young log may be.
func hasNoRows(a *upload.Answer) bool { return a.Code == "no_rows" }
