package journal

import (
	"encoding/base64"
	"errors"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/goldentest"
)

func TestStoredCursors(t *testing.T) {
	rev := events.Revision{Epoch: 0x0538c7441940ea1a, Cluster: 0x8926787b21c748d9, Number: 512}
	query := Query{
		Hosts: []events.HostID{"b", "a"}, GPUs: []events.GPUID{"g"}, Metrics: []string{"m"}, Uploads: []events.UploadID{"u"},
		HasPartition: true, Partition: 36, Damaged: true, Oldest: true, After: rev,
	}
	refs := map[string]events.Ref{"cursor": {Key: "/telemetry/queue/default-cluster/036/x", Revision: rev}}
	for name, ref := range refs {
		goldentest.CheckWrittenText(t, name, cursorVersion, string(query.cursorAfter(access.Everything(), ref)))
	}
	goldentest.CheckReadable(t, "cursor", cursorVersion, refs, func(text []byte) (events.Ref, error) {
		q := query
		q.Cursor = Cursor(text)
		return q.decodeCursor(access.Everything())
	})
}

func TestLaterCursorsAreRefused(t *testing.T) {
	var q Query
	raw, err := base64.RawURLEncoding.DecodeString(string(q.cursorAfter(access.Everything(), events.Ref{Key: "k", Revision: events.Revision{Epoch: 1, Cluster: 2, Number: 3}})))
	if err != nil {
		t.Fatal(err)
	}
	raw[0]++
	q.Cursor = Cursor(base64.RawURLEncoding.EncodeToString(raw))
	if ref, err := q.decodeCursor(access.Everything()); !errors.Is(err, ErrCursor) {
		t.Errorf("a cursor of a later version is read as %+v (%v), want ErrCursor", ref, err)
	}
}
