package ingest

import (
	"bufio"
	"encoding/json"
	"net/http"
	"testing"

	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/ingestd/uploads"
)

// onlyUpload waits until exactly one upload is known.
func onlyUpload(t *testing.T, s *Server) (u uploadView) {
	t.Helper()
	waitFor(t, "an upload is known", func() bool {
		var list uploadList
		r := getPath(t, s, "/api/v1/uploads")
		if err := json.Unmarshal([]byte(r.body), &list); err != nil || r.status != http.StatusOK || list.Count > 1 {
			t.Fatalf("uploads: %d %s (%v)", r.status, r.body, err)
		}
		if list.Count == 0 {
			return false
		}
		u = list.Data[0]
		return true
	})
	return u
}

func TestLiveStreamsThatLastAreKnown(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	short := openStream(t, s)
	short.sendText(t, pipelinetest.DCGMHeader+fileRows(0, 1))
	compareResponse(t, "a stream that is soon over", short.endStream(t), "200")

	l := openStream(t, s)
	l.sendText(t, pipelinetest.DCGMHeader+fileRows(1, 4))
	u := onlyUpload(t, s)
	if u.Kind != uploads.Stream || u.State != uploads.Processing || u.Rows != 3 || u.Bytes == 0 || u.SecondsLeft != nil {
		t.Errorf("the stream is told as %+v", u)
	}
	l.sendText(t, fileRows(4, 6))
	waitFor(t, "progress", func() bool { return stateOf(t, s, uploadsPath+string(u.ID)).Rows == 5 })
	compareResponse(t, "the end", l.endStream(t), `200
{"success": true, "accepted": 5, "file_id": "`+string(u.ID)+`"}`)
	if u := awaitFinal(t, s, uploadsPath+string(u.ID)); u.State != uploads.Done || receiptOf(t, u).Accepted != 5 {
		t.Errorf("at the end it is told as %+v", u)
	}
}

func TestLiveStreamsCanBeCancelled(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	l := openStream(t, s)
	l.sendText(t, pipelinetest.DCGMHeader+fileRows(0, 3))
	u := onlyUpload(t, s)
	compareResponse(t, "cancel", deleteUpload(t, s, uploadsPath+string(u.ID)), `200
{"success": true, "data": {"kind": "stream", "state": "cancelled", "code": "cancelled"}}`)
	compareResponse(t, "the stream's answer", readResponse(t, bufio.NewReader(l)), `499
{"success": false, "code": "cancelled", "error": "/3 of its records are stored/"}`)
}
