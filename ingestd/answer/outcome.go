package answer

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"telemetry-pipeline/events"
)

// Outcome is the result of an upload: of each of its files, and of the upload as a whole.
type Outcome struct {
	ID      events.UploadID
	BeganAt time.Time
	Files   []*FileOutcome
	Whole   *Receipt // the only file's own, or the sums over several; of no file when none came
	Ended   error    // the error that ended the upload before its last file, or in it; nil when all of it was read
}

// FileOutcome is one file with its result.
type FileOutcome struct {
	*Receipt
	Err   error
	Stats AppendStats // of its events
}

// NewOutcome returns the outcome of an upload that begins now, under a fresh id.
func NewOutcome() *Outcome {
	whole := NewReceipt()
	return &Outcome{ID: whole.FileID, BeganAt: whole.UploadedAt, Whole: whole}
}

// BeginFile adds a file. The first one has the upload's own id, the n-th has -n behind it.
func (o *Outcome) BeginFile(name string) *FileOutcome {
	rec := o.Whole
	if len(o.Files) > 0 {
		rec = NewReceipt()
		rec.FileID = events.UploadID(fmt.Sprintf("%s-%d", o.ID, len(o.Files)+1))
	}
	rec.Filename = name
	t := &FileOutcome{Receipt: rec}
	o.Files = append(o.Files, t)
	return t
}

// SumUp completes the outcome once no more files come.
func (o *Outcome) SumUp(trouble string) {
	now := time.Now().UTC()
	for _, t := range o.Files {
		t.setStatus()
		if t.ProcessedAt.IsZero() {
			t.ProcessedAt = now
		}
	}
	if len(o.Files) > 1 {
		o.Whole = o.sumReceipts()
	}
	if trouble != "" && o.Ended == nil && o.Err() == nil {
		o.Whole.Warnings = append(o.Whole.Warnings, trouble)
	}
	o.Whole.ProcessedAt = now
}

// setStatus sets the status of a refused file.
func (t *FileOutcome) setStatus() {
	switch {
	case t.Err == nil:
	case t.RecordCount > 0:
		t.Status = StatusPartial
	default:
		t.Status = StatusRefused
	}
}

// sumReceipts returns the receipt of several files together.
func (o *Outcome) sumReceipts() *Receipt {
	all := NewReceipt()
	all.FileID, all.UploadedAt = o.ID, o.BeganAt
	refused, span := 0, AppendStats{}
	for _, t := range o.Files {
		all.addSums(t.Receipt)
		span.ExtendBy(&t.Stats)
		if t.Err != nil {
			refused++
		}
	}
	all.SetReached(&span)
	switch {
	case refused == 0 && o.Ended == nil:
		all.Status = o.Files[0].Status
	case all.RecordCount > 0 || all.WouldAccept > 0:
		all.Status = StatusPartial
	default:
		all.Status = StatusRefused
	}
	return all
}

// AcceptedStats returns the positions that the accepted files reached.
func (o *Outcome) AcceptedStats() AppendStats {
	all := AppendStats{}
	for _, t := range o.Files {
		if t.Err == nil {
			all.ExtendBy(&t.Stats)
		}
	}
	return all
}

// Spans returns the first and the last revision of the stored events of each partition, also of refused files.
func (o *Outcome) Spans() map[events.Partition][2]int64 {
	all := AppendStats{}
	for _, t := range o.Files {
		if !t.DryRun {
			all.ExtendBy(&t.Stats)
		}
	}
	return all.Spans
}

// MarkQuarantined notes that some of the upload's events could not be folded.
func (o *Outcome) MarkQuarantined(q Quarantine) {
	if q.isEmpty() {
		return
	}
	o.Whole.Quarantine = q
	o.Whole.Warnings = append(o.Whole.Warnings, q.warning())
	if o.Whole.Status == StatusProcessed {
		o.Whole.Status = StatusQuarantined
	}
}

// MarkNotVisible notes that everything is stored, but was not seen to be visible in time.
func (o *Outcome) MarkNotVisible() {
	const note = "everything is stored, but is not visible yet; it will be, and sending it again is not needed"
	o.Whole.Warnings = append(o.Whole.Warnings, note)
	for _, t := range o.Files {
		if t.Status == StatusProcessed {
			t.Status = StatusStored
		}
	}
	if o.Whole.Status == StatusProcessed {
		o.Whole.Status = StatusStored
	}
}

// Status returns the HTTP status of the answer.
func (o *Outcome) Status() int {
	switch err := o.Err(); {
	case err != nil:
		return RefusalOf(err).Status
	case o.Whole.Status == StatusStored:
		return http.StatusAccepted
	}
	return http.StatusOK
}

// Err returns the answer's error: the one that ended the upload, the only file's own, or a summary of several refused
// files.
func (o *Outcome) Err() error {
	if o.Ended != nil {
		return o.Ended
	}
	refused := slices.DeleteFunc(slices.Clone(o.Files), func(t *FileOutcome) bool { return t.Err == nil })
	switch {
	case len(refused) == 0:
		return nil
	case len(o.Files) == 1:
		return refused[0].Err
	}
	first := refused[0]
	summary := fmt.Sprintf("%d of %d files were refused, each with its reason in \"files\"; the first is %q: %s",
		len(refused), len(o.Files), first.Filename, RefusalOf(first.Err).Text)
	if len(refused) < len(o.Files) {
		return Refuse(CodeSomeRefused, "%s", summary)
	}
	all := Refuse(CodeAllRefused, "%s", summary)
	all.Status = commonStatus(refused)
	return all
}

// commonStatus returns the status that all the errors have, else 422.
func commonStatus(refused []*FileOutcome) int {
	status := RefusalOf(refused[0].Err).Status
	for _, t := range refused[1:] {
		if RefusalOf(t.Err).Status != status {
			return http.StatusUnprocessableEntity
		}
	}
	return status
}

// Receipts returns the receipt of the upload as a whole, then the receipts of its files.
func (o *Outcome) Receipts() []*Receipt {
	all := []*Receipt{o.Whole}
	for _, t := range o.Files {
		all = append(all, t.Receipt)
	}
	return all
}
