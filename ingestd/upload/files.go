package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// stdinName is the argument for standard input.
const stdinName = "-"

// findSources returns the files that the arguments name: paths, patterns that the shell did not expand, and "-" for
// in. A source that can be read only once is copied to a temporary file first; done removes the copies.
func findSources(ctx context.Context, args []string, in io.Reader) (all []Source, done func(), err error) {
	var copies []*os.File
	done = func() {
		for _, file := range copies {
			removeTemp(file)
		}
	}
	for _, arg := range args {
		var found []Source
		if arg == stdinName {
			found = []Source{standardInput(in)}
			in = strings.NewReader("") // a second "-" is an empty file
		} else if found, err = expandArgument(arg); err != nil {
			return nil, done, err
		}
		for _, source := range found {
			if source.oneShot {
				file, err := copyToTemp(ctx, source)
				if err != nil {
					return nil, done, fmt.Errorf("copying %s to a temporary file for retries: %w", source.Name, err)
				}
				copies = append(copies, file)
				if source, err = tempSource(source, file); err != nil {
					return nil, done, err
				}
			}
			all = append(all, source)
		}
	}
	return all, done, nil
}

// expandArgument returns the files of one argument. An existing path is taken literally, even if it looks like a
// pattern.
func expandArgument(arg string) ([]Source, error) {
	source, err := fileSource(arg)
	if err == nil || !errors.Is(err, os.ErrNotExist) || !strings.ContainsAny(arg, "*?[") {
		return []Source{source}, err
	}
	paths, bad := filepath.Glob(arg)
	if bad != nil {
		return nil, fmt.Errorf("%q is not a pattern: %w", arg, bad)
	}
	var all []Source
	for _, path := range paths {
		source, err := fileSource(path)
		if _, isDir := errors.AsType[*directoryError](err); isDir {
			continue // a pattern matches files only
		}
		if err != nil {
			return nil, err
		}
		all = append(all, source)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no file matches %q", arg)
	}
	return all, nil
}

// directoryError reports a directory in place of a file.
type directoryError struct{ path string }

func (e *directoryError) Error() string {
	return fmt.Sprintf("%s is a directory; name its files (%s), or have new lines of all of them shipped with watch %s",
		e.path, filepath.Join(e.path, "*.csv"), e.path)
}

func fileSource(path string) (Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Source{}, err
	}
	if info.IsDir() {
		return Source{}, &directoryError{path}
	}
	return Source{
		Name: filepath.Base(path), Size: info.Size(), oneShot: !info.Mode().IsRegular(),
		Open: func() (io.ReadCloser, error) { return os.Open(path) },
	}, nil
}
