package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"telemetry-pipeline/events/access"
)

func TestLinesOfARequestHaveItsIDs(t *testing.T) {
	for want, ids := range map[string]access.RequestIDs{
		`"level":"WARN","msg":"m","process":"test","a":1,"request_id":"r-1"}`:                        {Request: "r-1"},
		`"level":"WARN","msg":"m","process":"test","a":1,"request_id":"r-1","correlation_id":"c-1"}`: {Request: "r-1", Correlation: "c-1"},
		`"level":"WARN","msg":"m","process":"test","a":1}`:                                           {},
	} {
		var out bytes.Buffer
		c := logConfig{level: slog.LevelInfo, format: autoFormat}
		lg := c.newLogger(&out).With("process", "test")
		lg.WarnContext(access.WithRequestIDs(t.Context(), ids), "m", "a", 1)
		lg.DebugContext(access.WithRequestIDs(t.Context(), ids), "below the level")
		if got := out.String(); !strings.HasSuffix(got, want+"\n") || strings.Count(got, "\n") != 1 {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
