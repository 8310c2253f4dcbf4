package trace_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	api "go.opentelemetry.io/otel/trace"

	"telemetry-pipeline/events/trace"
)

func TestLinesOfATraceHaveItsID(t *testing.T) {
	var out bytes.Buffer
	lg := slog.New(trace.LogHandler{Handler: slog.NewJSONHandler(&out, nil)}).With("process", "ingestd")
	lines := map[string]func(){
		`"msg":"sampled","process":"ingestd","upload":"u","trace_id":"01000000000000000000000000000000","span_id":"0101000000000000"}`: func() {
			lg.InfoContext(contextWith(exampleTrace(1), api.FlagsSampled), "sampled", "upload", "u")
		},
		`"msg":"unsampled","process":"ingestd"}`: func() { lg.InfoContext(contextWith(exampleTrace(1), 0), "unsampled") },
		`"msg":"outside","process":"ingestd"}`:   func() { lg.Info("outside") },
		`"msg":"grouped","process":"ingestd","g":{"a":1,"trace_id":"01000000000000000000000000000000","span_id":"0101000000000000"}}`: func() {
			lg.WithGroup("g").InfoContext(contextWith(exampleTrace(1), api.FlagsSampled), "grouped", "a", 1)
		},
	}
	for want, write := range lines {
		out.Reset()
		if write(); !strings.HasSuffix(strings.TrimSpace(out.String()), want) {
			t.Errorf("got %s, want it to end with %s", out.String(), want)
		}
	}
	if lg.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("the level of the handler within is not kept")
	}
}
