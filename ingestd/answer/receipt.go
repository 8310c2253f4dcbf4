package answer

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"telemetry-pipeline/events"
)

// Receipt is the account of one file. It is filled whether the upload succeeds or not, so that the answer to a failed one
// can say how much was stored before the failure.
type Receipt struct {
	FileID      events.UploadID `json:"file_id"`
	Filename    string          `json:"filename"`
	Size        int64           `json:"size"`
	Packing     []string        `json:"packing,omitempty"`      // the packings removed to reach the text, outermost first
	ContentHash string          `json:"content_hash,omitempty"` // named by its algorithm, over the file as sent; only of a whole file
	RecordCount int64           `json:"record_count"`           // accepted + duplicate
	Headers     []string        `json:"headers"`
	UploadedAt  time.Time       `json:"uploaded_at"`
	ProcessedAt time.Time       `json:"processed_at"`
	Status      string          `json:"status"`
	Metadata    Metadata        `json:"metadata"`
	Dialect     string          `json:"dialect,omitempty"`

	DryRun      bool  `json:"dry_run,omitempty"`      // nothing was to be appended
	WouldAccept int64 `json:"would_accept,omitempty"` // records that a dry run found; the log was not asked which of them it has

	Accepted  int64 `json:"accepted"`  // records of events that this upload created
	Duplicate int64 `json:"duplicate"` // records that the log had already, and repeats within the file
	Rejected  int64 `json:"rejected"`  // rows and cells that gave no record
	Absent    int64 `json:"absent"`    // records stored with a reason instead of a number
	Skipped   int64 `json:"skipped"`   // rows that are no readings by their nature
	AbsentReadings

	Errors      []Fault    `json:"errors"` // the first of them, in file order
	ErrorsTotal int64      `json:"errors_total"`
	Events      EventCount `json:"events"`
	Revision    string     `json:"revision,omitempty"` // the newest position in the log that the file reached
	Warnings    []string   `json:"warnings"`

	Quarantine
}

// Metadata describes the rows of a file.
type Metadata struct {
	Rows  int64  `json:"rows"`
	Zone  string `json:"zone,omitempty"`         // assumed for times that named none
	First string `json:"first_record,omitempty"` // earliest record time
	Last  string `json:"last_record,omitempty"`
}

// Fault is a row or cell without a record.
type Fault struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Text   string `json:"text"`
	Reason string `json:"reason"`
}

// EventCount counts events by whether the log had them before.
type EventCount struct {
	Appended int64 `json:"appended"`
	Existing int64 `json:"existing"`
}

// The words of the "status" field.
const (
	StatusProcessed   = "processed"   // everything usable is in the log, and visible if that was asked for
	StatusStored      = "stored"      // the same, but not seen to be visible in time
	StatusQuarantined = "quarantined" // the same, but some of it could not be folded, and is in no view until that is mended
	StatusPartial     = "partial"     // the upload failed after something was stored
	StatusRefused     = "refused"     // nothing was stored
	StatusValid       = "valid"       // it was a dry run, and found nothing to refuse the file for
)

// NewReceipt returns an empty receipt with a fresh id.
func NewReceipt() *Receipt {
	return &Receipt{
		FileID: events.UploadID(uuid.NewString()), UploadedAt: time.Now().UTC(), Status: StatusProcessed,
		Headers: []string{}, Errors: []Fault{}, Warnings: []string{}, AbsentReadings: AbsentReadings{Absences: []Absence{}},
	}
}

// SetReached enters the newest position in the log that the records reached, and the span of their times.
func (r *Receipt) SetReached(t *AppendStats) {
	if t.Revision != (events.Revision{}) {
		r.Revision = t.Revision.String()
	}
	if t.First != 0 {
		r.Metadata.First, r.Metadata.Last = t.First.String(), t.Last.String()
	}
}

// MarkDryRun turns the receipt of a dry run, filled like any other, into one marked as such.
func (r *Receipt) MarkDryRun() {
	r.DryRun, r.WouldAccept = true, r.Accepted
	r.RecordCount, r.Accepted, r.Events = 0, 0, EventCount{}
	r.Status = StatusValid
}

// addSums adds the sums of another receipt.
func (r *Receipt) addSums(other *Receipt) {
	r.DryRun = r.DryRun || other.DryRun
	r.WouldAccept += other.WouldAccept
	r.Size += other.Size
	r.RecordCount += other.RecordCount
	r.Accepted += other.Accepted
	r.Duplicate += other.Duplicate
	r.Rejected += other.Rejected
	r.Absent += other.Absent
	r.Skipped += other.Skipped
	r.AbsentReadings.AddCounts(&other.AbsentReadings)
	r.ErrorsTotal += other.ErrorsTotal
	r.Events.Appended += other.Events.Appended
	r.Events.Existing += other.Events.Existing
	r.Metadata.Rows += other.Metadata.Rows
}

// CheckUsable refuses a file of which nothing could be used. One that may be bare of rows may have headers alone.
func (r *Receipt) CheckUsable(bare bool) error {
	switch {
	case bare && r.Rejected == 0:
		return nil
	case r.Metadata.Rows == 0:
		return Refuse(CodeNoRows, "the file has a header but no rows")
	case r.RecordCount == 0 && r.Rejected == 0:
		return Refuse(CodeNoUsableRows,
			"none of the file's %d rows is a reading of a GPU: they are comments or the figures of other software", r.Metadata.Rows)
	case r.RecordCount == 0:
		return Refuse(CodeNoUsableRows,
			"none of the file's %d rows could be used; \"errors\" says why, line by line", r.Metadata.Rows)
	}
	return nil
}

// storedText returns a sentence about the records that a failed upload left in the log.
func (r *Receipt) storedText() string {
	if r.RecordCount == 0 {
		return "nothing of it was stored"
	}
	return fmt.Sprintf("%d of its records are stored already, and sending them again is harmless", r.RecordCount)
}
