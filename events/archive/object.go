package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// DamagedError reports an object whose content does not match its entry.
type DamagedError struct {
	Name   string
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("archive object %s is damaged: %s; restore it from a copy", e.Name, e.Reason)
}

// ErrMissing reports that an entry lists an object that the store does not have.
var ErrMissing = errors.New("the object is not in the store")

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// storeObject stores content as an object of e, unless the object exists, and verifies it by reading it back.
func (s *Store) storeObject(ctx context.Context, e *Entry, kind Kind, content []byte, rows int64) (Object, error) {
	hash := hashOf(content)
	o := Object{Kind: kind, Name: objectName(e, kind, hash), Bytes: int64(len(content)), Hash: hash, Rows: rows}
	err := s.writeObject(ctx, o.Name, content, true)
	if gcerrors.Code(err) == gcerrors.FailedPrecondition {
		_, err = s.readObject(ctx, o)
		if _, damaged := errors.AsType[*DamagedError](err); damaged { // the name is taken by other content, which no entry can refer to
			err = s.writeObject(ctx, o.Name, content, false)
		}
	}
	if err == nil {
		err = s.syncObject(o.Name)
	}
	if err == nil {
		err = s.verifyObject(ctx, o)
	}
	if err != nil {
		return Object{}, fmt.Errorf("writing archive object %s: %w", o.Name, err)
	}
	return o, nil
}

// writeObject writes an object atomically.
func (s *Store) writeObject(ctx context.Context, name string, content []byte, ifNotExist bool) error {
	return s.bucket.WriteAll(ctx, name, content, &blob.WriterOptions{
		ContentType: "application/vnd.apache.parquet",
		IfNotExist:  ifNotExist,
	})
}

// syncObject makes a written file and the directories on its path durable. Object storage needs no sync.
func (s *Store) syncObject(name string) error {
	if s.dir == "" {
		return nil
	}
	for {
		if err := syncFile(filepath.Join(s.dir, filepath.FromSlash(name))); err != nil {
			return err
		}
		if name == "" {
			return nil
		}
		name = name[:max(0, strings.LastIndexByte(name, '/'))]
	}
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readObject returns the content of an object, checked against its size and hash.
func (s *Store) readObject(ctx context.Context, o Object) ([]byte, error) {
	content, err := s.readContent(ctx, o)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return nil, fmt.Errorf("reading archive object %s: %w", o.Name, ErrMissing)
	case err != nil:
		return nil, fmt.Errorf("reading archive object %s: %w", o.Name, err)
	case int64(len(content)) != o.Bytes:
		return nil, &DamagedError{o.Name, fmt.Sprintf("it has %d bytes instead of %d", len(content), o.Bytes)}
	}
	if hash := hashOf(content); hash != o.Hash {
		return nil, &DamagedError{o.Name, fmt.Sprintf("its SHA-256 is %s instead of %s", hash, o.Hash)}
	}
	return content, nil
}

// maxContent bounds the room for an object before its content is there: an entry may claim any size.
const maxContent = 64 << 20

// readContent returns what the store has under the name of an object.
func (s *Store) readContent(ctx context.Context, o Object) ([]byte, error) {
	in, err := s.bucket.NewReader(ctx, o.Name, nil)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	content.Grow(int(min(max(o.Bytes, in.Size())+bytes.MinRead, maxContent)))
	_, err = content.ReadFrom(in)
	return content.Bytes(), errors.Join(err, in.Close())
}

// verifyObject reads an object and checks its hash and number of rows.
func (s *Store) verifyObject(ctx context.Context, o Object) error {
	content, err := s.readObject(ctx, o)
	if err != nil {
		return err
	}
	f, err := openContent(o, content)
	if err != nil {
		return err
	}
	if f.NumRows() != o.Rows {
		return &DamagedError{o.Name, fmt.Sprintf("it has %d rows instead of %d", f.NumRows(), o.Rows)}
	}
	return nil
}
