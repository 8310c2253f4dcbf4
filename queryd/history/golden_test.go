package history

import (
	"encoding/base64"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
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
	sel := &selection{gpus: []events.GPUID{"g"}, metrics: []string{"m"}}
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
