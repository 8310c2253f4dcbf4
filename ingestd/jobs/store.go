package jobs

import (
	"errors"
	"fmt"
	"io"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// StoreUpload brings all files of a request to the disk, with everything that is needed to process them there as they would
// have been now. query is kept, and must not be used again by the caller. open is called once there is room for an upload
// of that length; release ends its use of the source.
func (b *Background) StoreUpload(o *answer.Outcome, sender *pipeline.Sender, query map[string]string, length int64, open func() (src intake.Source, release func(), err error)) (*Job, error) {
	room, err := b.ensureSpool()
	if err != nil {
		return nil, err
	}
	draft, err := room.BeginDraft(o.ID, ownerOf(sender), length)
	if err != nil {
		return nil, refuseSpool(err)
	}
	defer func() {
		if err := draft.Discard(); err != nil { // nothing, once it is committed
			b.lg.Warn("removing an incomplete upload", "upload", o.ID, "err", err)
		}
	}()
	src, release, err := open()
	if err != nil {
		return nil, err
	}
	defer release()
	if err := fillDraft(draft, src); err != nil {
		return nil, refuseSpool(err)
	}
	if query["tz"] == "" {
		query["tz"] = b.cfg.Zone // the next process may have another default
	}
	entry, err := draft.Commit(spool.Manifest{
		ID: o.ID, Log: b.states.Log(), ReceivedAt: o.BeganAt, Query: query, Warning: src.Warning(),
	})
	if err != nil {
		return nil, refuseSpool(err)
	}
	return b.newJob(entry, uploads.Upload{}), nil
}

// ownerOf returns the stored form of a sender; nil for nobody.
func ownerOf(s *pipeline.Sender) *spool.Owner {
	if s == nil {
		return nil
	}
	return &spool.Owner{ID: s.ID, Scope: s.Scope.String()}
}

// senderOf undoes ownerOf.
func senderOf(o *spool.Owner) (*pipeline.Sender, error) {
	if o == nil {
		return nil, nil
	}
	scope, err := access.ParseScope(o.Scope)
	if err != nil {
		return nil, answer.Refuse(answer.CodeSpoolDamaged, "the upload directory has lost what %s may send; send it again", o.ID).WithCause(err)
	}
	return &pipeline.Sender{ID: o.ID, Scope: scope}, nil
}

func fillDraft(draft *spool.Draft, src intake.Source) error {
	for {
		f, err := src.NextFile()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := draft.AddFile(spool.File{Name: f.Name}, f); err != nil {
			return err
		}
	}
}

// KeepFile copies a file from the socket to the disk, where it can be read again. drop removes it there.
func (b *Background) KeepFile(f *intake.File) (drop func(), err error) {
	room, err := b.ensureSpool()
	if err != nil {
		return nil, err
	}
	scratch, err := room.CreateScratch(0)
	if err != nil {
		return nil, refuseSpool(err)
	}
	drop = func() {
		if err := scratch.Close(); err != nil {
			b.lg.Warn("removing a spooled file", "err", err)
		}
	}
	if _, err := scratch.Fill(f); err != nil {
		drop()
		return nil, refuseSpool(err)
	}
	f.Reopen = func() (io.ReadCloser, error) {
		text, err := scratch.Reader()
		return io.NopCloser(text), err
	}
	return drop, nil
}

// refuseSpool returns the refusal for an error of the spool. An error of the sender stays as it is.
func refuseSpool(err error) error {
	_, disk := errors.AsType[*spool.WriteError](err)
	switch {
	case errors.Is(err, spool.ErrUploads):
		return answer.Refuse(answer.CodeSpoolBusy,
			"as many uploads as this server keeps are waiting to be processed; send it again later, or without async=true").WithRetryAfter(10 * time.Second).WithCause(err)
	case errors.Is(err, spool.ErrShare):
		return answer.Refuse(answer.CodeTooManyRequests,
			"your uploads that wait to be processed take three quarters of the room for such; send it later, or without async=true").
			WithRetryAfter(10 * time.Second).WithCause(err)
	case errors.Is(err, spool.ErrBytes):
		return answer.Refuse(answer.CodeSpoolFull,
			"the uploads that are waiting to be processed leave no room for this one; send it again later, or without async=true and strict=true").
			WithRetryAfter(30 * time.Second).WithCause(err)
	case errors.Is(err, spool.ErrDiskFull):
		return answer.Refuse(answer.CodeDiskFull,
			"the disk of the server's upload directory is full; its operator has to make room there, or point UPLOAD_DIR elsewhere; "+
				"uploads without async=true and strict=true do not need it").WithRetryAfter(time.Minute).WithCause(err)
	case disk:
		return spoolUnusable(err)
	}
	return err
}

func spoolUnusable(err error) error {
	return answer.Refuse(answer.CodeSpoolUnusable,
		"the server's upload directory cannot be used (%v); uploads without async=true and strict=true do not need it", err).
		WithRetryAfter(time.Minute).WithCause(fmt.Errorf("upload directory: %w", err))
}
