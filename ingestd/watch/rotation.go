package watch

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// progressOf returns the progress of a file, found under its name or under its name before a rotation.
func (w *Watcher) progressOf(ctx context.Context, name string, file io.ReaderAt, size int64) (*progress, error) {
	known := w.progressByName(name)
	if known != nil && (known.HeadBytes == 0 || known.matchesFile(file, size)) {
		return known, nil
	}
	if known != nil {
		w.lg.Info("the file was replaced; reading it from its beginning", "file", name)
		if err := w.finishMoved(ctx, known); err != nil {
			return nil, err
		}
	}
	for _, p := range w.files {
		if p.matchesFile(file, size) && !w.isCurrent(p) {
			p.Name = name
			return p, nil
		}
	}
	p := &progress{Name: name}
	w.files = append(w.files, p)
	return p, nil
}

func (w *Watcher) progressByName(name string) *progress {
	if i := slices.IndexFunc(w.files, func(p *progress) bool { return p.Name == name }); i >= 0 {
		return w.files[i]
	}
	return nil
}

// finishMoved searches the directory for the content of p under its new name. If the new name is watched, p continues
// under it; if not, such as log.1, the remaining lines are shipped now.
func (w *Watcher) finishMoved(ctx context.Context, p *progress) error {
	names, err := w.listFiles()
	if err != nil {
		return err
	}
	for _, name := range names {
		file, info, err := w.openFile(name)
		if err != nil {
			continue // it may have been removed meanwhile
		}
		defer file.Close()
		switch {
		case !p.matchesFile(file, info.Size()) || w.progressByName(name) != nil:
		case w.cfg.matchesName(name):
			p.Name = name
			return nil
		default:
			if err := w.shipRest(ctx, name, file, fileState{size: info.Size(), idle: true}, p); err != nil {
				return fmt.Errorf("its remaining lines, moved to %s: %w", name, err)
			}
		}
	}
	w.files = slices.DeleteFunc(w.files, func(q *progress) bool { return q == p })
	return nil
}

// isCurrent reports whether the file at p's name still has p's content.
func (w *Watcher) isCurrent(p *progress) bool {
	file, info, err := w.openFile(p.Name)
	if err != nil {
		return false
	}
	defer file.Close()
	return p.matchesFile(file, info.Size())
}
