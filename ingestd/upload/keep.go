package upload

import (
	"context"
	"io"
	"os"
)

// standardInput is the source that "-" stands for.
func standardInput(in io.Reader) Source {
	return Source{Name: "stdin", once: true, Open: func() (io.ReadCloser, error) { return io.NopCloser(in), nil }}
}

// keep copies what can be read only once, such as a pipe, to a temporary file. That has no name any more
// where the system can do so, and then ends with the process, however the process ends.
func keep(ctx context.Context, f Source) (*os.File, error) {
	file, err := os.CreateTemp("", "upload-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name()) // else drop does it
	copied := make(chan error, 1)
	go func() { copied <- fill(file, f) }()
	select {
	case err = <-copied:
	case <-ctx.Done(): // nobody can break off the reading of a terminal; it ends with the process
		err = context.Cause(ctx)
	}
	if err != nil {
		drop(file)
		return nil, err
	}
	return file, nil
}

func fill(file *os.File, f Source) error {
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(file, in)
	return err
}

// copyOf is f as it was kept.
func copyOf(f Source, file *os.File) (Source, error) {
	info, err := file.Stat()
	if err != nil {
		return Source{}, err
	}
	f.Size, f.once = info.Size(), false
	f.Open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(file, 0, f.Size)), nil }
	return f, nil
}

// drop removes a file that keep has made.
func drop(file *os.File) {
	_ = file.Close()           // it was only read since it was filled
	_ = os.Remove(file.Name()) // removed before, where the system can do so
}
