package watch

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// progressOf finds what is known of a file: under its name, or under the one that it had before a rotation.
func (w *Watcher) progressOf(ctx context.Context, name string, file io.ReaderAt, size int64) (*progress, error) {
	known := w.named(name)
	if known != nil && (known.MarkBytes == 0 || known.isOf(file, size)) {
		return known, nil
	}
	if known != nil {
		w.lg.Info("the file begins anew", "file", name)
		if err := w.finish(ctx, known); err != nil {
			return nil, err
		}
	}
	for _, p := range w.files {
		if p.isOf(file, size) && !w.still(p) {
			p.Name = name
			return p, nil
		}
	}
	p := &progress{Name: name}
	w.files = append(w.files, p)
	return p, nil
}

func (w *Watcher) named(name string) *progress {
	if i := slices.IndexFunc(w.files, func(p *progress) bool { return p.Name == name }); i >= 0 {
		return w.files[i]
	}
	return nil
}

// finish finds where the content that p is about has been moved to. A name that is watched goes on under it;
// of another, such as log.1, what is not shipped yet is shipped now.
func (w *Watcher) finish(ctx context.Context, p *progress) error {
	names, err := w.list()
	if err != nil {
		return err
	}
	for _, name := range names {
		file, info, err := w.open(name)
		if err != nil {
			continue // it may have gone meanwhile
		}
		defer file.Close()
		switch {
		case !p.isOf(file, info.Size()) || w.named(name) != nil:
		case w.cfg.matches(name):
			p.Name = name
			return nil
		default:
			if err := w.ship(ctx, name, file, look{size: info.Size(), settled: true}, p); err != nil {
				return fmt.Errorf("the rest of it, moved to %s: %w", name, err)
			}
		}
	}
	w.files = slices.DeleteFunc(w.files, func(q *progress) bool { return q == p })
	return nil
}

// still tells whether the file of its name is the one that p is about.
func (w *Watcher) still(p *progress) bool {
	file, info, err := w.open(p.Name)
	if err != nil {
		return false
	}
	defer file.Close()
	return p.isOf(file, info.Size())
}
