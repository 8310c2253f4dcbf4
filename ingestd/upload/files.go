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

// stdinName is the argument that stands for the standard input.
const stdinName = "-"

// sources finds the files that the arguments name: paths, patterns that the shell has left as they are, and
// "-" for in. What can be read only once is kept first. done lets go of that.
func sources(ctx context.Context, args []string, in io.Reader) (all []Source, done func(), err error) {
	var copies []*os.File
	done = func() {
		for _, file := range copies {
			drop(file)
		}
	}
	for _, arg := range args {
		var found []Source
		if arg == stdinName {
			found = []Source{standardInput(in)}
			in = strings.NewReader("") // a second "-" is an empty file
		} else if found, err = expand(arg); err != nil {
			return nil, done, err
		}
		for _, source := range found {
			if source.once {
				file, err := keep(ctx, source)
				if err != nil {
					return nil, done, fmt.Errorf("keeping %s in a temporary file, so that it can be sent again: %w", source.Name, err)
				}
				copies = append(copies, file)
				if source, err = copyOf(source, file); err != nil {
					return nil, done, err
				}
			}
			all = append(all, source)
		}
	}
	return all, done, nil
}

// expand gives the files of one argument. A path that exists is itself, also when it looks like a pattern.
func expand(arg string) ([]Source, error) {
	source, err := fileSource(arg)
	if err == nil || !errors.Is(err, os.ErrNotExist) || !strings.ContainsAny(arg, "*?[") {
		return []Source{source}, err
	}
	paths, bad := filepath.Glob(arg)
	if bad != nil {
		return nil, fmt.Errorf("%q is no pattern: %w", arg, bad)
	}
	var all []Source
	for _, path := range paths {
		source, err := fileSource(path)
		if _, isDir := errors.AsType[*directoryError](err); isDir {
			continue // a pattern means the files
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

// directoryError refuses a directory where a file is wanted.
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
		Name: filepath.Base(path), Size: info.Size(), once: !info.Mode().IsRegular(),
		Open: func() (io.ReadCloser, error) { return os.Open(path) },
	}, nil
}
