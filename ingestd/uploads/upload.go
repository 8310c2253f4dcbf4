package uploads

import (
	"encoding/json"
	"fmt"
	"time"

	"telemetry-pipeline/events"
)

// State is an upload's stage of processing.
type State string

// The states. An upload goes from queued to processing, perhaps back, and ends in one of the others.
const (
	Queued     State = "queued"
	Processing State = "processing"
	Done       State = "done"
	Failed     State = "failed"
	Cancelled  State = "cancelled"
)

// States returns all states.
func States() []State { return []State{Queued, Processing, Done, Failed, Cancelled} }

// Final reports whether an upload in this state has ended.
func (s State) Final() bool { return s == Done || s == Failed || s == Cancelled }

// Kind is the reason why an upload outlives its request.
type Kind string

// The kinds.
const (
	Async  Kind = "async"  // processed in the background, from a spool
	Stream Kind = "stream" // a body without a known end
)

// Upload is the state of one upload. Its slices are replaced, never modified.
type Upload struct {
	ID     events.UploadID `json:"id"`
	Kind   Kind            `json:"kind"`
	State  State           `json:"state"`
	Server string          `json:"server"` // the ingestd that processes it; set by Begin
	Files  []File          `json:"files"`
	Owner  string          `json:"owner,omitempty"` // id of the principal who sent it; "" if nobody says who they are

	Rows       int64 `json:"rows"`        // read so far, in this attempt
	Bytes      int64 `json:"bytes"`       // of the files as sent, read so far in this attempt
	TotalBytes int64 `json:"total_bytes"` // of the files as sent; 0: unknown

	ReceivedAt time.Time `json:"received_at"`
	StartedAt  time.Time `json:"started_at,omitzero"` // of this attempt
	UpdatedAt  time.Time `json:"updated_at"`          // set by Begin and Change
	EndedAt    time.Time `json:"ended_at,omitzero"`   // set by Change with a final state

	Attempts        int       `json:"attempts"`
	Waiting         string    `json:"waiting,omitempty"` // why the last attempt failed and another follows
	RetryAt         time.Time `json:"retry_at,omitzero"`
	CancelRequested bool      `json:"cancel_requested,omitempty"`

	Error   string          `json:"error,omitempty"` // of a failed or cancelled upload
	Code    string          `json:"code,omitempty"`
	Receipt json.RawMessage `json:"receipt,omitempty"` // the response that a synchronous upload would have received

	// First and last revision of its stored events, by partition: where to look for those that could not be folded.
	Spans map[events.Partition][2]int64 `json:"spans,omitempty"`
}

// File is one file of an upload.
type File struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// Rate returns the upload's bytes and rows per second since its attempt began; 0 while they are unknown.
func (u *Upload) Rate() (bytes, rows float64) {
	until := u.UpdatedAt
	if !u.EndedAt.IsZero() {
		until = u.EndedAt
	}
	took := until.Sub(u.StartedAt).Seconds()
	if u.StartedAt.IsZero() || took <= 0 {
		return 0, 0
	}
	return float64(u.Bytes) / took, float64(u.Rows) / took
}

// TimeLeft returns the time that an upload still needs at its current rate. It is known only while the upload is being
// processed and its size is known.
func (u *Upload) TimeLeft() (d time.Duration, known bool) {
	bytes, _ := u.Rate()
	if u.State != Processing || bytes == 0 || u.TotalBytes == 0 {
		return 0, false
	}
	return time.Duration(float64(max(u.TotalBytes-u.Bytes, 0)) / bytes * float64(time.Second)), true
}

// maxValue bounds the size of one upload's value in etcd.
const maxValue = 64 << 10

// encodeUpload returns an upload's value. Where it would be too large, it omits the receipt, then the file names and the spans.
func encodeUpload(u Upload) ([]byte, error) {
	text, err := json.Marshal(u)
	if err == nil && len(text) > maxValue {
		u.Receipt = nil
		text, err = json.Marshal(u)
	}
	if err == nil && len(text) > maxValue {
		u.Files, u.Spans = nil, nil
		text, err = json.Marshal(u)
	}
	if err != nil {
		return nil, fmt.Errorf("writing the state of upload %s: %w", u.ID, err)
	}
	return text, nil
}

func decodeUpload(key string, value []byte) (Upload, error) {
	var u Upload
	if err := events.DecodeStoredJSON(value, &u); err != nil {
		return u, fmt.Errorf("reading the state of an upload at %s: %w", key, err)
	}
	return u, nil
}
