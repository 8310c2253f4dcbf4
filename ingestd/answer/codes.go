package answer

import "net/http"

// The words of the "code" field.
const (
	CodeNotFound         = "not_found"
	CodeMethod           = "method_not_allowed"
	CodeBadRequest       = "bad_request"
	CodeBadParameter     = "bad_parameter"
	CodeContentType      = "unsupported_content_type"
	CodePacking          = "unsupported_packing"
	CodeDamaged          = "damaged_file"
	CodeUnpackRatio      = "unpack_ratio_too_high"
	CodeEncrypted        = "encrypted"
	CodeTooManyRows      = "too_many_rows"
	CodeTooManyColumns   = "too_many_columns"
	CodeMissingFile      = "missing_file"
	CodeTooManyFiles     = "too_many_files"
	CodeSomeRefused      = "some_files_refused"
	CodeAllRefused       = "all_files_refused"
	CodeTruncated        = "truncated_body"
	CodeStalled          = "upload_stalled"
	CodeTooLarge         = "file_too_large"
	CodeEmpty            = "empty_file"
	CodeNoRows           = "no_rows"
	CodeNoUsableRows     = "no_usable_rows"
	CodeNotText          = "not_text"
	CodeNotTelemetry     = "not_telemetry"
	CodeTooManyUploads   = "too_many_uploads"
	CodeStopping         = "stopping"
	CodeLogUnavailable   = "log_unavailable"
	CodeLogFull          = "log_full"
	CodeLogNearlyFull    = "log_nearly_full"
	CodeLogSlow          = "log_slow"
	CodeCollectorsBehind = "collectors_behind"
	CodeTooManyRequests  = "too_many_requests"
	CodeTooManyRecords   = "too_many_records"
	CodeEventTooLarge    = "event_too_large"
	CodeBadRow           = "bad_row"
	CodeSpoolBusy        = "too_many_waiting"
	CodeAsyncOff         = "async_off"
	CodeSpoolFull        = "upload_directory_full"
	CodeDiskFull         = "disk_full"
	CodeSpoolUnusable    = "upload_directory_unusable"
	CodeSpoolDamaged     = "upload_directory_damaged"
	CodeServerDied       = "server_died"
	CodeCancelled        = "cancelled"
	CodeUnknownUpload    = "unknown_upload"
	CodeUploadEnded      = "upload_ended"
	CodeFollowers        = "too_many_followers"
	CodeUnauthenticated  = "unauthenticated"
	CodeForbidden        = "forbidden"
	CodeCrossSite        = "cross_site"
	CodeWrongHost        = "wrong_host"
	CodeUnavailable      = "unavailable"
	CodeInternal         = "internal"
)

// statusClosedRequest is the status of a cancelled upload.
const statusClosedRequest = 499

// statusOf returns the HTTP status of a refusal with a code.
func statusOf(code string) int {
	switch code {
	case CodeNotFound, CodeUnknownUpload:
		return http.StatusNotFound
	case CodeUnauthenticated:
		return http.StatusUnauthorized
	case CodeForbidden, CodeCrossSite:
		return http.StatusForbidden
	case CodeWrongHost:
		return http.StatusMisdirectedRequest
	case CodeMethod:
		return http.StatusMethodNotAllowed
	case CodeAsyncOff, CodeBadRequest, CodeBadParameter, CodeDamaged, CodeMissingFile, CodeTruncated:
		return http.StatusBadRequest
	case CodeUploadEnded:
		return http.StatusConflict
	case CodeDiskFull, CodeSpoolFull:
		return http.StatusInsufficientStorage
	case CodeSomeRefused:
		return http.StatusMultiStatus
	case CodeUnpackRatio, CodeTooLarge, CodeTooManyFiles, CodeTooManyRows:
		return http.StatusRequestEntityTooLarge
	case CodeStalled:
		return http.StatusRequestTimeout
	case CodeCollectorsBehind, CodeTooManyUploads, CodeFollowers, CodeLogFull, CodeLogNearlyFull, CodeLogSlow, CodeLogUnavailable, CodeSpoolUnusable, CodeSpoolBusy, CodeStopping, CodeUnavailable:
		return http.StatusServiceUnavailable
	case CodeTooManyRecords, CodeTooManyRequests:
		return http.StatusTooManyRequests
	case CodeAllRefused, CodeEmpty, CodeEncrypted, CodeNoRows, CodeBadRow, CodeNotTelemetry, CodeNoUsableRows, CodeEventTooLarge, CodeTooManyColumns:
		return http.StatusUnprocessableEntity
	case CodeContentType, CodeNotText, CodePacking:
		return http.StatusUnsupportedMediaType
	case CodeCancelled:
		return statusClosedRequest
	default: // CodeServerDied, CodeInternal
		return http.StatusInternalServerError
	}
}
