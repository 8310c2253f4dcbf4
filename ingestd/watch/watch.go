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

// sender sends a file with as many attempts as necessary (upload.Client).
type sender interface {
	Send(ctx context.Context, f upload.Source, sent func(int64), retry func(upload.Attempt)) (*upload.Answer, error)
}

// Watcher ships the growing files of one directory. Run does the work.
type Watcher struct {
	cfg      Config
	dir      string
	headless bool
	client   sender
	lg       *slog.Logger

	files []*progress
	done  map[string]fileState // by name: the state of completely shipped files
	held  map[string]heldFile  // by name: files that were refused or could not be read
}

// fileState is the visible state of a file.
type fileState struct {
	size int64
	at   time.Time
	idle bool // no longer written to
}

// idleAfter is the time without a write after which a file is taken for finished.
const idleAfter = time.Hour

// heldFile is a file that is skipped until it changes or some time has passed.
type heldFile struct {
	fileState
	until time.Time
}

// New returns a watcher. It loads the state file, and ships nothing yet. headless means that the files have no
// header, because the sender knows their columns.
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
	if err := cfg.checkPatterns(); err != nil {
		return nil, err
	}
	files, err := loadState(cfg.State)
	if err != nil {
		return nil, err
	}
	return &Watcher{cfg: cfg, dir: dir, headless: headless, client: to, lg: lg, files: files, done: map[string]fileState{}, held: map[string]heldFile{}}, nil
}

// Run ships until ctx ends, or with Config.Once until every file was tried. It returns an error when the state file
// cannot be written, or with Config.Once when not everything could be shipped.
//
// It polls sizes and times instead of subscribing to changes, because network file systems do not report changes.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(w.cfg.Interval)
	defer tick.Stop()
	for {
		err := w.shipDirectory(ctx)
		if w.cfg.Once || errors.Is(err, errStateNotSaved) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// errStateNotSaved ends a watcher whose state file cannot be written.
var errStateNotSaved = errors.New("the state of the watch cannot be saved")

// errIncomplete reports that not everything could be shipped.
var errIncomplete = errors.New("not everything could be shipped; see the log")

// shipDirectory ships the appended lines of all files.
func (w *Watcher) shipDirectory(ctx context.Context) error {
	names, err := w.listFiles()
	if err != nil {
		w.lg.Error("listing files", "err", err)
		return err
	}
	var left error
	for _, name := range names {
		if !w.cfg.matchesName(name) || ctx.Err() != nil {
			continue
		}
		if err := w.shipFile(ctx, name); errors.Is(err, errStateNotSaved) {
			return err
		} else if err != nil {
			left = errIncomplete
		}
	}
	return errors.Join(left, ctx.Err())
}

// listFiles returns the names of all files of the directory.
func (w *Watcher) listFiles() (names []string, err error) {
	entries, err := os.ReadDir(w.dir)
	for _, entry := range entries {
		if entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

// shipFile ships the appended lines of one file, unless the file is unchanged.
func (w *Watcher) shipFile(ctx context.Context, name string) error {
	file, info, err := w.openFile(name)
	if err != nil {
		return w.holdFile(ctx, name, fileState{}, err)
	}
	defer file.Close()
	now := fileState{info.Size(), info.ModTime(), time.Since(info.ModTime()) > idleAfter}
	if h, is := w.held[name]; is && h.fileState == now && time.Now().Before(h.until) {
		return errIncomplete
	}
	if w.done[name] == now {
		return nil
	}
	p, err := w.progressOf(ctx, name, file, info.Size())
	if err == nil {
		err = w.shipRest(ctx, name, file, now, p)
	}
	if err != nil {
		return w.holdFile(ctx, name, now, err)
	}
	delete(w.held, name)
	w.done[name] = now
	return nil
}

func (w *Watcher) openFile(name string) (*os.File, os.FileInfo, error) {
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

// shipRest uploads everything after p, one shipment after the other.
func (w *Watcher) shipRest(ctx context.Context, name string, file io.ReaderAt, now fileState, p *progress) error {
	for ctx.Err() == nil {
		s, err := w.shipNext(ctx, name, file, now, p)
		if s == nil || err != nil {
			return err
		}
		if err := p.advanceTo(file, s); err != nil {
			return err
		}
		if err := saveState(w.cfg.State, w.files); err != nil {
			return fmt.Errorf("%w: %w", errStateNotSaved, err)
		}
	}
	return ctx.Err()
}

// shipNext uploads one shipment and returns it; nil: there is none. It extends a shipment without a usable line,
// because later lines may be usable.
func (w *Watcher) shipNext(ctx context.Context, name string, file io.ReaderAt, now fileState, p *progress) (*shipment, error) {
	var end int64
	var refused error
	for most := int64(maxShipment); ; most *= 2 {
		s, err := nextShipment(file, now, p, w.headless, most)
		switch {
		case err != nil:
			return nil, err
		case s != nil && s.end == end: // another header follows, so the shipment cannot grow
			return s, refused
		case s != nil:
			end, refused = s.end, w.uploadShipment(ctx, name, s)
		}
		if more := p.Offset+most < now.size && most < maxUnusable; !more || s != nil && !errors.Is(refused, errUnusable) {
			return s, refused
		}
	}
}

// heldFor is how long a file that could not be shipped is skipped, unless it changes.
const heldFor = time.Minute

func (w *Watcher) holdFile(ctx context.Context, name string, now fileState, err error) error {
	if ctx.Err() != nil || errors.Is(err, errStateNotSaved) {
		return err
	}
	w.held[name] = heldFile{now, time.Now().Add(heldFor)}
	w.lg.Error("not shipped; it will be retried", "file", name, "err", err, "again_in", heldFor)
	return err
}

// uploadShipment uploads a shipment and logs the rejected lines.
func (w *Watcher) uploadShipment(ctx context.Context, name string, s *shipment) error {
	content := s.uploadBody()
	source := upload.Source{
		Name: name, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
	answer, err := w.client.Send(ctx, source, nil, func(a upload.Attempt) {
		w.lg.Warn("the server cannot accept it now", "file", name, "err", a.Err, "again_in", a.RetryIn)
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

// errUnusable is the refusal of a shipment whose rows are all unusable.
var errUnusable = errors.New("no line can be used")

// hasNoRows reports whether a shipment was refused because it is only a header, as in a new log.
func hasNoRows(a *upload.Answer) bool { return a.Code == "no_rows" }
