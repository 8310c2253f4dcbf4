package ingest

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// The receipt of an upload names the record beyond a bound, and the next upload is held to what this one brought.
func TestReceiptNamesRecordsBeyondABound(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Bounds: bounds.Config{GPUs: 2}}, log, log)
	file := "timestamp,metric_name,gpu_id,Hostname,value\n" +
		"2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP,0,n1,41\n" +
		"2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP,1,n1,42\n" +
		"2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP,2,n1,43\n" +
		"2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP,2,n2,44\n"
	compareResponse(t, "three GPUs", putBody(t, s, "", strings.NewReader(file)), `200
{"success": true, "accepted": 3, "rejected": 1, "errors": [{"line": 4, "column": "DCGM_FI_DEV_GPU_TEMP", "text": "n1:2", "reason": "/^too_many_gpus: host n1 has 2 GPUs.*ingest.max-gpus/"}]}`)
	later := strings.Replace(file, "20:42:34Z,DCGM_FI_DEV_GPU_TEMP,0,", "20:42:35Z,DCGM_FI_DEV_GPU_TEMP,3,", 1)
	compareResponse(t, "a fourth GPU", putBody(t, s, "", strings.NewReader(later)), `200
{"success": true, "accepted": 1, "duplicate": 1, "rejected": 2, "errors": [{"line": 2, "text": "n1:3"}, {"line": 4, "text": "n1:2"}]}`)
	compareResponse(t, "status", getPath(t, s, "/api/v1/status"), `200
{"limits": {"hosts": 1000000, "host_gpus": 2, "gpu_parts": 4096, "gpu_values": 1024, "host_metrics": 4096, "metrics": 65536, "labels": 128, "label_bytes": 16384}}`)
}

// The rows of a live stream stay when it breaks off, so they count.
func TestBrokenStreamCounts(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Bounds: bounds.Config{GPUs: 1}}, log, log)
	row := func(gpu string) string { return "2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP," + gpu + ",n1,41\n" }
	const header = "timestamp,metric_name,gpu_id,Hostname,value\n"
	l := openStream(t, s)
	l.sendText(t, header+row("0"))
	awaitUnderWay(t, s)
	if err := l.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	compareResponse(t, "the stream", readResponse(t, bufio.NewReader(l)), `400
{"code": "truncated_body", "accepted": 1}`)
	compareResponse(t, "another GPU", putBody(t, s, "", strings.NewReader(header+row("1"))), `422
{"code": "no_usable_rows", "errors": [{"line": 2, "text": "n1:1"}]}`)
}
