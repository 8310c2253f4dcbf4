package upload

import (
	"context"
	"io"
	"os"
)

// standardInput returns the source for the argument "-".
func standardInput(in io.Reader) Source {
	return Source{Name: "stdin", oneShot: true, Open: func() (io.ReadCloser, error) { return io.NopCloser(in), nil }}
}

// copyToTemp copies a source that can be read only once, such as a pipe, to a temporary file. The file is unlinked at
// once where the system allows it, so it disappears when the process ends for any reason.
func copyToTemp(ctx context.Context, f Source) (*os.File, error) {
	file, err := os.CreateTemp("", "upload-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name()) // otherwise removeTemp does it
	copied := make(chan error, 1)
	go func() { copied <- copyContent(file, f) }()
	select {
	case err = <-copied:
	case <-ctx.Done(): // reading a terminal cannot be interrupted; it ends with the process
		err = context.Cause(ctx)
	}
	if err != nil {
		removeTemp(file)
		return nil, err
	}
	return file, nil
}

func copyContent(file *os.File, f Source) error {
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(file, in)
	return err
}

// tempSource returns f reading from its temporary copy.
func tempSource(f Source, file *os.File) (Source, error) {
	info, err := file.Stat()
	if err != nil {
		return Source{}, err
	}
	f.Size, f.oneShot = info.Size(), false
	f.Open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(file, 0, f.Size)), nil }
	return f, nil
}

// removeTemp removes a file that copyToTemp made.
func removeTemp(file *os.File) {
	_ = file.Close()           // it has only been read since it was filled
	_ = os.Remove(file.Name()) // already removed where the system allows it
}
