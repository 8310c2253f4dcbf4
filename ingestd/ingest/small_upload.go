package ingest

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/intake"
)

// An upload of known and small size takes little of the memory that one of unknown size may need. An eighth of the
// memory is for such uploads, by their bytes, so that hundreds of them are under way at a time and none of them waits for a
// large one. If the text of a small upload is large, because it is packed, it takes a slot for uploads besides.

const (
	maxSmallUpload = 60 << 10 // bytes of a body, so that the text of a file fits into the bytes that are examined first
	smallShare     = 8        // the share of the memory for small uploads is 1/smallShare

	// The memory of a small upload, roughly: buffers, and a multiple of its text with rows, records and events.
	smallOverhead  = 16 << 10
	smallMultiple  = 6
	maxSmallMemory = smallOverhead + smallMultiple*maxSmallUpload
)

// smallUploadBytes returns how much memory a small upload takes; ok is false if it may not be small.
func smallUploadBytes(c *fiber.Ctx) (bytes int64, ok bool) {
	size := int64(c.Request().Header.ContentLength())
	if size < 0 || size > maxSmallUpload {
		return 0, false
	}
	return smallOverhead + smallMultiple*size, true
}

// smallMemory returns the bytes for small uploads, enough for one.
func (c Config) smallMemory() int64 { return max(c.MaxMemory/smallShare, maxSmallMemory) }

// principalShare returns the share of one principal in places, as it has a share in the slots for uploads.
func (c Config) principalShare(places int64) int64 {
	return places * int64(min(c.PrincipalUploads, c.Uploads)) / int64(c.Uploads)
}

// uploadMemory returns the bytes for each other upload.
func (c Config) uploadMemory() int64 {
	return (c.MaxMemory - c.MaxMemory/smallShare) / int64(c.Uploads)
}

// smallSource has the files of a small upload take a slot for uploads if their text turns out large.
type smallSource struct {
	intake.Source
	slots  *slots
	sender string
}

// NextFile returns the next file.
func (s *smallSource) NextFile() (*intake.File, error) {
	f, err := s.Source.NextFile()
	if err == nil {
		f.Enlarge = func(ctx context.Context) (leave func(), err error) { return s.slots.acquireSlot(ctx, s.sender, 1) }
	}
	return f, err
}
