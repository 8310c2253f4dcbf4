package ingest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
)

// outcome is what became of an upload: of each of its files, and of it as a whole.
type outcome struct {
	id    events.UploadID
	began time.Time
	files []*taken
	whole *receipt // the only file's own, or the sums over several; of no file when none came
	ended error    // what ended the upload before its last file, or in it; nil when all of it was read
}

// taken is one file with what became of it.
type taken struct {
	*receipt
	err   error
	tally tally // of its events
}

func newOutcome() *outcome {
	whole := newReceipt()
	return &outcome{id: whole.FileID, began: whole.UploadedAt, whole: whole}
}

// begin adds a file. The first one has the upload's own id, the n-th has -n behind it.
func (o *outcome) begin(name string) *taken {
	rec := o.whole
	if len(o.files) > 0 {
		rec = newReceipt()
		rec.FileID = events.UploadID(fmt.Sprintf("%s-%d", o.id, len(o.files)+1))
	}
	rec.Filename = name
	t := &taken{receipt: rec}
	o.files = append(o.files, t)
	return t
}

// endsUpload gives the error of a file behind which no other can be read or stored.
func (t *taken) endsUpload(f *file) error {
	if t.err == nil {
		return nil
	}
	if err := f.broken(); err != nil || costsOneFile(t.err) {
		return err
	}
	return t.err
}

// costsOneFile tells that an error has to do with a file's content and with nothing else. What another time
// might help against, the next file would meet too.
func costsOneFile(err error) bool {
	r, refused := errors.AsType[*refusal](err)
	return !refused || r.retryAfter == 0 && r.status < fiber.StatusInternalServerError
}

// finish sums up, once no more files come.
func (o *outcome) finish(trouble string) {
	now := time.Now().UTC()
	for _, t := range o.files {
		t.settle()
		if t.ProcessedAt.IsZero() {
			t.ProcessedAt = now
		}
	}
	if len(o.files) > 1 {
		o.whole = o.sum()
	}
	if trouble != "" && o.ended == nil && o.err() == nil {
		o.whole.Warnings = append(o.whole.Warnings, trouble)
	}
	o.whole.ProcessedAt = now
}

// settle gives a refused file its status.
func (t *taken) settle() {
	switch {
	case t.err == nil:
	case t.RecordCount > 0:
		t.Status = statusPartial
	default:
		t.Status = statusRefused
	}
}

// sum is the receipt of several files together.
func (o *outcome) sum() *receipt {
	all := newReceipt()
	all.FileID, all.UploadedAt = o.id, o.began
	refused, span := 0, tally{}
	for _, t := range o.files {
		all.add(t.receipt)
		span.extend(&t.tally)
		if t.err != nil {
			refused++
		}
	}
	all.reach(&span)
	switch {
	case refused == 0 && o.ended == nil:
		all.Status = o.files[0].Status
	case all.RecordCount > 0 || all.WouldAccept > 0:
		all.Status = statusPartial
	default:
		all.Status = statusRefused
	}
	return all
}

// reached is how far the files that were taken got in the log.
func (o *outcome) reached() map[events.Partition]events.Revision {
	all := tally{}
	for _, t := range o.files {
		if t.err == nil {
			all.extend(&t.tally)
		}
	}
	return all.reached
}

// unseen says that everything is stored, and not seen to be visible in time.
func (o *outcome) unseen() {
	const told = "everything is stored, but is not visible yet; it will be, and sending it again is not needed"
	o.whole.Warnings = append(o.whole.Warnings, told)
	for _, t := range o.files {
		if t.Status == statusProcessed {
			t.Status = statusStored
		}
	}
	if o.whole.Status == statusProcessed {
		o.whole.Status = statusStored
	}
}

// status is what the outcome is answered with.
func (o *outcome) status() int {
	switch err := o.err(); {
	case err != nil:
		return asRefusal(err).status
	case o.whole.Status == statusStored:
		return fiber.StatusAccepted
	}
	return fiber.StatusOK
}

// err is the answer's error: what ended the upload, the only file's own, or how many of several were refused.
func (o *outcome) err() error {
	if o.ended != nil {
		return o.ended
	}
	refused := slices.DeleteFunc(slices.Clone(o.files), func(t *taken) bool { return t.err == nil })
	switch {
	case len(refused) == 0:
		return nil
	case len(o.files) == 1:
		return refused[0].err
	}
	first := refused[0]
	told := fmt.Sprintf("%d of %d files were refused, each with its reason in \"files\"; the first is %q: %s",
		len(refused), len(o.files), first.Filename, asRefusal(first.err).text)
	if len(refused) < len(o.files) {
		return refuse(fiber.StatusMultiStatus, codeSomeRefused, "%s", told)
	}
	return refuse(commonStatus(refused), codeAllRefused, "%s", told)
}

// commonStatus is the status that all the errors have, else 422.
func commonStatus(refused []*taken) int {
	status := asRefusal(refused[0].err).status
	for _, t := range refused[1:] {
		if asRefusal(t.err).status != status {
			return fiber.StatusUnprocessableEntity
		}
	}
	return status
}
