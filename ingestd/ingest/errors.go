package ingest

import (
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"
)

// refusal is an error that its sender can act on: it carries the HTTP status and a word that programs
// can rely on. Every other error is answered 500 with a masked text.
type refusal struct {
	status     int
	code       string
	text       string
	retryAfter time.Duration // 0: trying again does not help by itself
	cause      error         // for the log; not shown
}

func (r *refusal) Error() string { return r.text }

func (r *refusal) Unwrap() error { return r.cause }

func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, text: fmt.Sprintf(format, args...)}
}

func (r *refusal) after(d time.Duration) *refusal {
	r.retryAfter = d
	return r
}

func (r *refusal) because(err error) *refusal {
	r.cause = err
	return r
}

// The words of the "code" field.
const (
	codeNotFound       = "not_found"
	codeMethod         = "method_not_allowed"
	codeBadRequest     = "bad_request"
	codeBadParameter   = "bad_parameter"
	codeContentType    = "unsupported_content_type"
	codePacking        = "unsupported_packing"
	codeDamaged        = "damaged_file"
	codeBomb           = "unpack_ratio_too_high"
	codeLocked         = "encrypted"
	codeTooManyRows    = "too_many_rows"
	codeTooManyColumns = "too_many_columns"
	codeMissingFile    = "missing_file"
	codeTooManyFiles   = "too_many_files"
	codeSomeRefused    = "some_files_refused"
	codeAllRefused     = "all_files_refused"
	codeTruncated      = "truncated_body"
	codeStalled        = "upload_stalled"
	codeTooLarge       = "file_too_large"
	codeEmpty          = "empty_file"
	codeNoRows         = "no_rows"
	codeNothingUsable  = "no_usable_rows"
	codeNotText        = "not_text"
	codeNotTelemetry   = "not_telemetry"
	codeBusy           = "too_many_uploads"
	codeStopping       = "stopping"
	codeLogUnavailable = "log_unavailable"
	codeLogFull        = "log_full"
	codeLogNearlyFull  = "log_nearly_full"
	codeLogSlow        = "log_slow"
	codeBehind         = "collectors_behind"
	codeTooOften       = "too_many_requests"
	codeRate           = "too_many_records"
	codeTooDense       = "event_too_large"
	codeNotStrict      = "bad_row"
	codeSpoolBusy      = "too_many_waiting"
	codeSpoolFull      = "upload_directory_full"
	codeDiskFull       = "disk_full"
	codeNoSpool        = "upload_directory_unusable"
	codeSpoolDamaged   = "upload_directory_damaged"
	codeDeadly         = "server_died"
	codeCancelled      = "cancelled"
	codeUnknownUpload  = "unknown_upload"
	codeEnded          = "upload_ended"
	codeFollowers      = "too_many_followers"
	codeInternal       = "internal"
)

func tooLarge(limit int64) *refusal {
	return refuse(fiber.StatusRequestEntityTooLarge, codeTooLarge,
		"the upload is larger than %d bytes, the most this server takes; split it, or raise MAX_UPLOAD_SIZE (flag max-upload-size)", limit)
}

func truncated(err error) *refusal {
	return refuse(fiber.StatusBadRequest, codeTruncated,
		"the body ended before the file did, so its last rows are missing; send the file again").because(err)
}

func stopping() *refusal {
	return refuse(fiber.StatusServiceUnavailable, codeStopping,
		"the server is stopping; send the file again in a few seconds").after(5 * time.Second)
}
