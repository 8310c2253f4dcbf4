package uploads

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/goldentest"
)

func goldenUploads() map[string]Upload {
	at := time.Date(2025, 7, 18, 20, 42, 35, 123456789, time.UTC)
	return map[string]Upload{
		"upload": {
			ID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", Kind: Async, State: Failed, Server: "node-7", Files: []File{{"a.csv", 7}, {"b <1>.csv.gz", 1 << 40}},
			Rows: 3, Bytes: 5, TotalBytes: 12, ReceivedAt: at, StartedAt: at.Add(1), UpdatedAt: at.Add(2), EndedAt: at.Add(3),
			Attempts: 2, Waiting: "etcd is full", RetryAt: at.Add(4), CancelRequested: true, Error: "no host", Code: "bad_file",
			Receipt: json.RawMessage(`{"success":false}`),
		},
		"upload-spans": {
			ID: "u", Kind: Async, State: Done, ReceivedAt: at, UpdatedAt: at, Spans: map[events.Partition][2]int64{7: {12, 1 << 40}, 0: {3, 3}},
		},
		"upload-owner": {ID: "u", Kind: Stream, State: Processing, Owner: "team-a", ReceivedAt: at, UpdatedAt: at},
		"upload-begun": {ID: "u", Kind: Stream, State: Processing, ReceivedAt: at, UpdatedAt: at},
	}
}

func TestStoredUploads(t *testing.T) {
	for name, u := range goldenUploads() {
		value, err := encodeUpload(u)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, name, 1, string(value))
	}
	goldentest.CheckReadable(t, "upload", 1, goldenUploads(), func(value []byte) (Upload, error) { return decodeUpload("upload", value) })
	r := New(nil, eventlog.Config{ClusterID: "a/b_c"}, nil)
	goldentest.CheckWrittenText(t, "keys", 1, r.uploadKey("u_1"))
	var states []string
	for _, s := range States() {
		states = append(states, string(s))
	}
	goldentest.CheckWrittenText(t, "states", 1, strings.Join(states, "\n"))
}
