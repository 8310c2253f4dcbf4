package history

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/goldentest"
	"telemetry-pipeline/projections"
)

func TestStoredCursors(t *testing.T) {
	cursors := map[string]cursor{
		"cursor": {
			digest: 0x0102030405060708, times: timeRange{from: -5, to: 1752871354_000000000},
			after: projections.Place{At: 1752871354_000000001, Host: "rack7_node02", Entity: events.Entity{GPU: "rack7_node02:3", Part: "mig:1"}},
		},
		"cursor-bare": {},
	}
	for name, c := range cursors {
		goldentest.CheckWrittenText(t, name, cursorVersion, string(c.encodeCursor()))
	}
	equal := cmp.AllowUnexported(cursor{}, timeRange{})
	goldentest.CheckReadable(t, "cursor", cursorVersion, cursors, func(text []byte) (cursor, error) { return Cursor(text).decodeCursor() }, equal)
	q := Query{Hosts: []events.HostID{"b", "a"}, Oldest: true, Step: 60e9}
	sel := &selection{scope: access.Everything(), gpus: []events.GPUID{"g"}, metrics: []string{"m"}}
	if got, want := sel.filterDigest(q), uint64(0xb672c6faa1fb5df); got != want {
		t.Errorf("the digest in cursors is %#x, want %#x: cursors of clients end when it changes, so give cursorVersion a new value", got, want)
	}
}

func TestLaterCursorsAreRefused(t *testing.T) {
	raw, err := base64.RawURLEncoding.DecodeString(string(cursor{digest: 7}.encodeCursor()))
	if err != nil {
		t.Fatal(err)
	}
	raw[0]++
	if c, err := Cursor(base64.RawURLEncoding.EncodeToString(raw)).decodeCursor(); !errors.Is(err, ErrCursor) {
		t.Errorf("a cursor of a later version is read as %+v (%v), want ErrCursor", c, err)
	}
}

func TestCursorsDoNotCrossScopes(t *testing.T) {
	of := func(scope access.Scope) *selection { return &selection{scope: scope, metrics: []string{"m"}} }
	narrow, err := access.ParseScope("host=a")
	if err != nil {
		t.Fatal(err)
	}
	q := Query{Metrics: []string{"m"}, Limit: 1}
	q.Cursor = cursor{after: projections.Place{Host: "b"}, times: queryRange(q), digest: of(access.Everything()).filterDigest(q)}.encodeCursor()
	if _, _, err := pageRange(q, of(access.Everything())); err != nil {
		t.Errorf("a cursor in its own scope: %v", err)
	}
	for _, scope := range []access.Scope{narrow, {}} {
		if _, _, err := pageRange(q, of(scope)); !errors.Is(err, ErrCursor) {
			t.Errorf("a cursor of everything in scope %q: %v, want ErrCursor", scope, err)
		}
	}
}
