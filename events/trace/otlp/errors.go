package otlp

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// logEvery is the least time between two logged errors.
const logEvery = time.Minute

// ErrorLog logs the errors of OpenTelemetry, such as an absent receiver's, at most one a minute. It is safe for concurrent use.
type ErrorLog struct {
	lg     *slog.Logger
	logged atomic.Int64 // when an error was logged, in nanoseconds since 1970; 0: never
}

// NewErrorLog returns the handler of errors for otel.SetErrorHandler.
func NewErrorLog(lg *slog.Logger) *ErrorLog { return &ErrorLog{lg: lg} }

// Handle logs an error, unless another one was logged within the last minute.
func (l *ErrorLog) Handle(err error) {
	now, last := time.Now().UnixNano(), l.logged.Load()
	if (last == 0 || now-last >= int64(logEvery)) && l.logged.CompareAndSwap(last, now) {
		l.lg.Warn("spans cannot be sent and are dropped; check flag otel.exporter.otlp.endpoint", "err", err)
	}
}
