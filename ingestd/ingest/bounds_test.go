package ingest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/projections"
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
{"limits": {"hosts": 1000000, "host_gpus": 2, "gpu_parts": 4096, "gpu_values": 1024, "host_metrics": 4096, "metrics": 65536, "labels": 128, "label_bytes": 16384, "principal_uploads": 6, "principal_hosts": 100000, "principal_metrics": 16384, "principal_labels": 4096}}`)
}

// unreadableModels is a projector whose models cannot be read.
type unreadableModels struct{ *pipelinetest.Recorder }

func (unreadableModels) Host(context.Context, events.HostID) (projections.Host, error) {
	return projections.Host{}, errors.New("the models are damaged")
}

// A server that starts again counts the stored names of a host. If they cannot be read, it counts only those that it accepts.
func TestBoundsHoldAfterARestart(t *testing.T) {
	log := pipelinetest.NewRecorder()
	file := func(from, to int) *strings.Reader {
		var b strings.Builder
		b.WriteString("timestamp,metric_name,gpu_id,Hostname,value\n")
		for gpu := from; gpu < to; gpu++ {
			fmt.Fprintf(&b, "2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP,%d,n1,41\n", gpu)
		}
		return strings.NewReader(b.String())
	}
	const bound, names = 300, 256 // a GPU is two names: its own and its index
	cfg := Config{Bounds: bounds.Config{GPUs: bound}}
	compareResponse(t, "the first server", putBody(t, startServer(t, cfg, log, log), "", file(0, 400)), `200
{"accepted": 300, "rejected": 100}`)
	again := startServer(t, cfg, log, log)
	compareResponse(t, "after a restart", putBody(t, again, "", file(1000, 1400)), fmt.Sprintf(`200
{"accepted": %d, "rejected": %d}`, names/2, 400-names/2))
	compareResponse(t, "more", putBody(t, again, "", file(2000, 2400)), `422
{"code": "no_usable_rows"}`)
	compareResponse(t, "unreadable", putBody(t, startServer(t, cfg, log, unreadableModels{log}), "", file(3000, 3400)), `200
{"accepted": 300, "rejected": 100}`)
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
