package answer

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Refusal is an error that its sender can act on. Its code is a word that programs can rely on. Every other error is
// answered as CodeInternal, with a masked text.
type Refusal struct {
	Status     int
	Code       string
	Text       string
	RetryAfter time.Duration // 0: trying again does not help by itself
	Cause      error         // for the log; not shown
}

// Error returns the text for the sender.
func (r *Refusal) Error() string { return r.Text }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Refuse returns a refusal with a code, the status that belongs to it, and a text for the sender.
func Refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Status: statusOf(code), Code: code, Text: fmt.Sprintf(format, args...)}
}

// WithRetryAfter sets the time after which another attempt may succeed.
func (r *Refusal) WithRetryAfter(d time.Duration) *Refusal {
	r.RetryAfter = d
	return r
}

// WithCause sets the cause, which is logged and not shown.
func (r *Refusal) WithCause(err error) *Refusal {
	r.Cause = err
	return r
}

// TooLarge refuses an upload beyond its bound of bytes.
func TooLarge(limit int64) *Refusal {
	return Refuse(CodeTooLarge,
		"the upload is larger than %d bytes, the most this server takes; split it, or raise MAX_UPLOAD_SIZE (flag max-upload-size)", limit)
}

// TruncatedBody refuses a body that ended early.
func TruncatedBody(err error) *Refusal {
	return Refuse(CodeTruncated,
		"the body ended before the file did, so its last rows are missing; send the file again").WithCause(err)
}

// ServerStopping refuses an upload because the server stops.
func ServerStopping() *Refusal {
	return Refuse(CodeStopping,
		"the server is stopping; send the file again in a few seconds").WithRetryAfter(5 * time.Second)
}

// Runbook is the page that says how to make room in etcd.
const Runbook = "docs/runbooks/etcd-full.md"

// LogFull refuses an upload because etcd is out of space.
func LogFull() *Refusal {
	return Refuse(CodeLogFull,
		"etcd is out of space (alarm NOSPACE) and takes no events; its operator has to compact it, defragment every member, "+
			"then disarm the alarm, as %s says; uploads go on by themselves after that, so send the file again later", Runbook).WithRetryAfter(time.Minute)
}

// BadParameter refuses a parameter of the query string by its name.
func BadParameter(name, format string, args ...any) error {
	return Refuse(CodeBadParameter, "query parameter %s: %s", name, fmt.Sprintf(format, args...))
}

// RefusalOf returns the refusal in an error. Any other error is masked: its text is for the log.
func RefusalOf(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	return Refuse(CodeInternal, "the server failed on this request; its log says why")
}

// CostsOneFile reports whether an error concerns the content of one file alone. An error that another attempt may not
// meet would meet the next file too.
func CostsOneFile(err error) bool {
	r, refused := errors.AsType[*Refusal](err)
	return !refused || r.RetryAfter == 0 && r.Status < http.StatusInternalServerError
}

// ErrorForLog returns an error for the log, which names the cause of a refusal too.
func ErrorForLog(err error) error {
	if r, ok := errors.AsType[*Refusal](err); ok && r.Cause != nil {
		return fmt.Errorf("%w: %w", err, r.Cause)
	}
	return err
}
