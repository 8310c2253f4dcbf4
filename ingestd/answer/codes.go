package answer

import "net/http"

// The words of the "code" field.
const (
	CodeNotFound       = "not_found"
	CodeMethod         = "method_not_allowed"
	CodeBadRequest     = "bad_request"
	CodeBadParameter   = "bad_parameter"
	CodeContentType    = "unsupported_content_type"
	CodePacking        = "unsupported_packing"
	CodeDamaged        = "damaged_file"
	CodeBomb           = "unpack_ratio_too_high"
	CodeLocked         = "encrypted"
	CodeTooManyRows    = "too_many_rows"
	CodeTooManyColumns = "too_many_columns"
	CodeMissingFile    = "missing_file"
	CodeTooManyFiles   = "too_many_files"
	CodeSomeRefused    = "some_files_refused"
	CodeAllRefused     = "all_files_refused"
	CodeTruncated      = "truncated_body"
	CodeStalled        = "upload_stalled"
	CodeTooLarge       = "file_too_large"
	CodeEmpty          = "empty_file"
	CodeNoRows         = "no_rows"
	CodeNothingUsable  = "no_usable_rows"
	CodeNotText        = "not_text"
	CodeNotTelemetry   = "not_telemetry"
	CodeBusy           = "too_many_uploads"
	CodeStopping       = "stopping"
	CodeLogUnavailable = "log_unavailable"
	CodeLogFull        = "log_full"
	CodeLogNearlyFull  = "log_nearly_full"
	CodeLogSlow        = "log_slow"
	CodeBehind         = "collectors_behind"
	CodeTooOften       = "too_many_requests"
	CodeRate           = "too_many_records"
	CodeTooDense       = "event_too_large"
	CodeNotStrict      = "bad_row"
	CodeSpoolBusy      = "too_many_waiting"
	CodeSpoolFull      = "upload_directory_full"
	CodeDiskFull       = "disk_full"
	CodeNoSpool        = "upload_directory_unusable"
	CodeSpoolDamaged   = "upload_directory_damaged"
	CodeDeadly         = "server_died"
	CodeCancelled      = "cancelled"
	CodeUnknownUpload  = "unknown_upload"
	CodeEnded          = "upload_ended"
	CodeFollowers      = "too_many_followers"
	CodeInternal       = "internal"
)

// statusClosedRequest is the status of a cancelled upload.
const statusClosedRequest = 499

// statusOf returns the HTTP status of a refusal with a code.
func statusOf(code string) int {
	switch code {
	case CodeNotFound, CodeUnknownUpload:
		return http.StatusNotFound
	case CodeMethod:
		return http.StatusMethodNotAllowed
	case CodeBadRequest, CodeBadParameter, CodeDamaged, CodeMissingFile, CodeTruncated:
		return http.StatusBadRequest
	case CodeEnded:
		return http.StatusConflict
	case CodeDiskFull, CodeSpoolFull:
		return http.StatusInsufficientStorage
	case CodeSomeRefused:
		return http.StatusMultiStatus
	case CodeBomb, CodeTooLarge, CodeTooManyFiles, CodeTooManyRows:
		return http.StatusRequestEntityTooLarge
	case CodeStalled:
		return http.StatusRequestTimeout
	case CodeBehind, CodeBusy, CodeFollowers, CodeLogFull, CodeLogNearlyFull, CodeLogSlow, CodeLogUnavailable, CodeNoSpool, CodeSpoolBusy, CodeStopping:
		return http.StatusServiceUnavailable
	case CodeRate, CodeTooOften:
		return http.StatusTooManyRequests
	case CodeAllRefused, CodeEmpty, CodeLocked, CodeNoRows, CodeNotStrict, CodeNotTelemetry, CodeNothingUsable, CodeTooDense, CodeTooManyColumns:
		return http.StatusUnprocessableEntity
	case CodeContentType, CodeNotText, CodePacking:
		return http.StatusUnsupportedMediaType
	case CodeCancelled:
		return statusClosedRequest
	default: // codeDeadly, codeInternal
		return http.StatusInternalServerError
	}
}
