package upload

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Answer is the server's response to one file.
type Answer struct {
	Success bool   `json:"success"`
	Error   string `json:"error"`
	Code    string `json:"code"`

	FileID  string `json:"file_id"`
	Status  string `json:"status"`
	Dialect string `json:"dialect"`

	Accepted    int64   `json:"accepted"`
	WouldAccept int64   `json:"would_accept"` // replaces Accepted in a dry run
	Duplicate   int64   `json:"duplicate"`
	Rejected    int64   `json:"rejected"`
	Absent      int64   `json:"absent"`
	Errors      []Fault `json:"errors"`
	ErrorsTotal int64   `json:"errors_total"`

	Warnings []string `json:"warnings"`

	HTTPStatus int             `json:"-"`
	Raw        json.RawMessage `json:"-"` // the body as received
	retryAfter time.Duration
}

// Fault describes one rejected row or cell.
type Fault struct {
	Line   int    `json:"line"`
	Column string `json:"column"`
	Text   string `json:"text"`
	Reason string `json:"reason"`
}

// String returns the fault on one line.
func (f Fault) String() string {
	where := fmt.Sprintf("line %d", f.Line)
	if f.Column != "" {
		where += ", " + f.Column
	}
	return fmt.Sprintf("%s: %q: %s", where, f.Text, f.Reason)
}

// isFinal reports whether the server would answer a second attempt the same way.
func (a *Answer) isFinal() bool {
	switch a.HTTPStatus {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	case http.StatusBadRequest:
		return a.Code != codeTruncated // the connection broke in the middle of the file
	case http.StatusInsufficientStorage:
		return false
	}
	return a.HTTPStatus < http.StatusInternalServerError
}

// statusQuarantined is the server's status of an upload that is stored and could not be folded as a whole. A warning has
// the reason.
const statusQuarantined = "quarantined"

// codeTruncated is the server's error code for a body that ended before its file did.
const codeTruncated = "truncated_body"

// parseAnswer returns the answer in a response whose body has been read.
func parseAnswer(resp *http.Response, body []byte) *Answer {
	a := &Answer{}
	if err := json.Unmarshal(body, a); err != nil || !a.Success && a.Error == "" {
		*a = Answer{Error: fmt.Sprintf("the server answered %s, which is not a response of an upload server: %q", resp.Status, bodyExcerpt(body))}
	}
	a.HTTPStatus, a.Raw = resp.StatusCode, body
	if resp.StatusCode >= http.StatusBadRequest {
		a.Success = false
	}
	if s, err := strconv.Atoi(strings.TrimSpace(resp.Header.Get("Retry-After"))); err == nil && s > 0 {
		a.retryAfter = time.Duration(s) * time.Second
	}
	return a
}

func bodyExcerpt(body []byte) string {
	return strings.ToValidUTF8(string(body[:min(len(body), 80)]), "\uFFFD")
}
