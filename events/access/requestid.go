package access

import (
	"context"
	"crypto/rand"
)

// maxRequestID bounds a request's id that a client sends.
const maxRequestID = 128

// RequestID returns the id of a request: the one that its client sent if it is of at most 128 safe characters and does not look like a
// token, else a new one.
func RequestID(sent string) string {
	if isRequestID(sent) {
		return sent
	}
	return rand.Text()
}

func isRequestID(sent string) bool {
	return sent != "" && len(sent) <= maxRequestID && isSafeID(sent) && !looksSecret(sent)
}

// CorrelationID returns the id that a client sent for a chain of requests, "" if it cannot be an id of a request either.
func CorrelationID(sent string) string {
	if isRequestID(sent) {
		return sent
	}
	return ""
}

// RequestIDs are the ids by which the lines of a request are found in the logs.
type RequestIDs struct {
	Request     string // of this request
	Correlation string // of a chain of requests; "" if the client sent none
}

type requestIDsKey struct{}

// WithRequestIDs returns a context of a request with these ids.
func WithRequestIDs(ctx context.Context, ids RequestIDs) context.Context {
	return context.WithValue(ctx, requestIDsKey{}, ids)
}

// RequestIDsFrom returns the ids of the request of a context, empty ones outside of a request.
func RequestIDsFrom(ctx context.Context) RequestIDs {
	ids, _ := ctx.Value(requestIDsKey{}).(RequestIDs)
	return ids
}

// WithRequestOf returns ctx as a context of the request of another one, which may end before.
func WithRequestOf(ctx, of context.Context) context.Context {
	return WithRequestIDs(ctx, RequestIDsFrom(of))
}
