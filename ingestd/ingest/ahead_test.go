package ingest

import (
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// A user who uploads times of the future reads in the receipt why nothing is shown.
func TestReceiptWarnsOfTimesAhead(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	row := func(ahead time.Duration) string {
		return time.Now().Add(ahead).UTC().Format(time.RFC3339) + ",DCGM_FI_DEV_GPU_TEMP,0,n1,41\n"
	}
	file := "timestamp,metric_name,gpu_id,Hostname,value\n" + row(-time.Minute) + row(4*time.Minute) + row(6*time.Minute) + row(2*time.Hour)
	compareResponse(t, "two records ahead", putBody(t, s, "", strings.NewReader(file)), `200
{"success": true, "accepted": 4, "warnings": ["/^2 records are more than 5m0s ahead of now/"]}`)
}
