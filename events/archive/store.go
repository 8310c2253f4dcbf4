package archive

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://
	_ "gocloud.dev/blob/s3blob"   // s3://
)

// Store is object storage that holds an archive. Safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
	dir    string // of a file:// store
	url    string // without its parameters

	fast *pageCodec // of objects that will be merged, and small ones
	best *pageCodec // of records that stay

	cache *contentCache // nil: nothing is kept
	rooms sync.Pool     // of *[]events.Timestamp, for the times of a block

	wholeBytes int64 // the constant wholeBytes; tests lower it
}

// Open opens the storage at a URL and checks that it can be used:
//
//   - file:///dir is a directory, made if missing.
//   - s3://bucket?region=…&endpoint=https://…&use_path_style=true is S3 or a compatible service; credentials are found
//     as by every AWS tool (environment, profile, instance role). [gocloud.dev/blob/s3blob.URLOpener] documents the
//     parameters.
func Open(ctx context.Context, address string) (*Store, error) {
	s, err := openURL(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("opening archive %.200q: %w", address, err)
	}
	return s, nil
}

// validation is the parameter of an s3:// URL that controls the validation of the server's checksums.
const validation = "response_checksum_validation"

func openURL(ctx context.Context, address string) (*Store, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	s := &Store{url: u.Scheme + "://" + u.Host + u.Path, wholeBytes: wholeBytes}
	if s.fast, err = newPageCodec(zstd.SpeedDefault); err != nil {
		return nil, err
	}
	if s.best, err = newPageCodec(zstd.SpeedBetterCompression); err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" || u.Path == "" {
			return nil, errors.New("a directory is written file:///absolute/path")
		}
		s.dir = filepath.FromSlash(u.Path)
		q := u.Query()
		q.Set("create_dir", "true")
		q.Set("no_tmp_dir", "true") // renaming is atomic within a volume alone
		q.Set("metadata", "skip")   // no files beside the objects
		u.RawQuery = q.Encode()
	case "s3":
		if u.Host == "" {
			return nil, errors.New("a bucket is written s3://bucket?region=…")
		}
		// This package checks contents against their SHA-256. Validation of the server's checksum would end a read of a
		// damaged object with an error that looks temporary and is retried for ever.
		if q := u.Query(); !q.Has(validation) {
			q.Set(validation, "when_required")
			u.RawQuery = q.Encode()
		}
	default:
		return nil, errors.New("it is none of file:///dir and s3://bucket")
	}
	if s.bucket, err = blob.OpenBucket(ctx, u.String()); err != nil {
		return nil, err
	}
	ok, err := s.bucket.IsAccessible(ctx)
	if err == nil && !ok {
		err = errors.New("there is no such bucket, or it may not be listed: create it, or check name, region, endpoint and credentials")
	}
	if err != nil {
		return nil, errors.Join(err, s.bucket.Close())
	}
	return s, nil
}

// Close ends the store's connections; calls under way may fail.
func (s *Store) Close() error { return s.bucket.Close() }

// String returns the URL without its parameters.
func (s *Store) String() string { return s.url }

// logID returns the name of the log of the entry's events.
func (e *Entry) logID() string { return fmt.Sprintf("%x-%x", uint64(e.First.Epoch), e.First.Cluster) }

// objectName returns the name of an object of e whose content has the given hash. Names sort by kind, partition, log and range.
func objectName(e *Entry, kind Kind, hash string) string {
	return strings.Join([]string{
		string(kind), e.Partition.String(), e.logID(),
		fmt.Sprintf("%012d-%012d-%s.parquet", e.First.Number, e.Last.Number, hash[:32]),
	}, "/")
}
