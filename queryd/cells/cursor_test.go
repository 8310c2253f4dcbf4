package cells

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"telemetry-pipeline/queryd/history"
)

func TestCursorsRoundTrip(t *testing.T) {
	t.Parallel()
	for _, at := range []map[string]history.Cursor{{}, {"a": "x"}, {"a": "", "b": "y-_Z"}, {"a": "", "b": ""}} {
		got, err := decodeCursor(encodeCursor(at))
		if err != nil || !maps.Equal(got, at) {
			t.Errorf("%v: got %v, %v", at, got, err)
		}
	}
	for _, bad := range []history.Cursor{"x", "a~b.", "a~b.a~c", "a b~c", ".", "~", history.Cursor("a~" + strings.Repeat("x", maxCursor))} {
		if got, err := decodeCursor(bad); !errors.Is(err, history.ErrCursor) {
			t.Errorf("%.40q: got %v, %v", bad, got, err)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{"a": true, "East-1_b": true, strings.Repeat("x", 63): true, "": false, "a.b": false, "a~b": false, "ä": false, "a/b": false, "a b": false, strings.Repeat("x", 64): false} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("%q: got %v, want it to be good: %t", name, err, good)
		}
	}
}
