package ingest

import (
	"encoding/json"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// TestAnswerListsTheAbsentCellsOfCaptures sends the real captures of nvidia-smi. The answer lists each cell that the
// file leaves without a value, in the file's order, with its reason.
func TestAnswerListsTheAbsentCellsOfCaptures(t *testing.T) {
	reasons := map[string]string{
		"[N/A]": "not_supported", "N/A": "not_supported", "": "blank",
		"[Requested functionality has been deprecated]": "deprecated",
	}
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	for name, absent := range map[string]int{
		"h100-idle": 74, "h100-load": 74, "h200-idle": 74, "h200-load": 74, "rtx2080-windows-idle": 127, "rtx2080-windows-load": 127,
	} {
		text := dialecttest.Sample(t, "nvidia-smi/"+name+"-query-gpu.csv")
		var got struct {
			Dialect       string
			Rejected      int
			AbsencesTotal int `json:"absences_total"`
			Absences      []answer.Absence
		}
		reply := postFile(t, s, "?host="+name, text)
		if err := json.Unmarshal([]byte(reply.body), &got); err != nil || reply.status != 200 || got.Dialect != "nvidia-smi" {
			t.Fatalf("%s: got %d %s, %v", name, reply.status, reply.body, err)
		}
		lines := strings.Split(string(text), "\n")
		columns, cells := strings.Split(lines[0], ","), strings.Split(lines[1], ",")
		var want []answer.Absence
		for i, cell := range cells {
			cell = strings.TrimSpace(cell)
			if reason := reasons[cell]; reason != "" {
				want = append(want, answer.Absence{Line: 2, Column: strings.TrimSpace(columns[i]), Text: cell, Reason: reason})
			}
		}
		if diff := gocmp.Diff(want, got.Absences); diff != "" || len(want) != absent || got.AbsencesTotal != absent || got.Rejected != 0 {
			t.Errorf("%s: got %d absent, %d rejected; want %d, none; (-want +got):\n%s", name, got.AbsencesTotal, got.Rejected, absent, diff)
		}
	}
}
