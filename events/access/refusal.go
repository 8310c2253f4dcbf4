package access

import (
	"fmt"
	"net/http"
	"time"
)

// Refusal is a request that is not allowed.
type Refusal struct {
	Status     int    // of HTTP
	Code       Code   // for programs
	Text       string // what to do
	RetryAfter time.Duration
}

// Code says in one word why a request is refused.
type Code string

const (
	Unauthenticated Code = "unauthenticated"   // 401: no or bad credentials
	Forbidden       Code = "forbidden"         // 403: known, without the right
	CrossSite       Code = "cross_site"        // 403: from the page of another site
	WrongHost       Code = "wrong_host"        // 421: for another name
	BadRequest      Code = "bad_request"       // 400: its end may be read in two ways
	TooManyRequests Code = "too_many_requests" // 429
	Unavailable     Code = "unavailable"       // 503: the issuer's keys are not known
)

// Error returns the text.
func (r *Refusal) Error() string { return r.Text }

func unauthenticated(format string, args ...any) *Refusal {
	return &Refusal{Status: http.StatusUnauthorized, Code: Unauthenticated, Text: fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) *Refusal {
	return &Refusal{Status: http.StatusForbidden, Code: Forbidden, Text: fmt.Sprintf(format, args...)}
}

func tooMany(wait time.Duration, format string, args ...any) *Refusal {
	return &Refusal{Status: http.StatusTooManyRequests, Code: TooManyRequests, Text: fmt.Sprintf(format, args...), RetryAfter: max(wait, time.Second)}
}

// CloseCode returns the code with which a WebSocket is closed for a refusal.
func (r *Refusal) CloseCode() int {
	switch r.Code {
	case Unauthenticated:
		return 4401
	case TooManyRequests:
		return 4429
	default:
		return 4403
	}
}
