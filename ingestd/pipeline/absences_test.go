package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// TestAbsencesAreListedInFileOrder reads a file in many batches, of which the answer lists the first readings.
func TestAbsencesAreListedInFileOrder(t *testing.T) {
	var text strings.Builder
	text.WriteString("timestamp,hostname,gpu_id,temperature,power_draw\n")
	const lines = 5000
	for i := range lines {
		fmt.Fprintf(&text, "2025-07-18T20:42:34Z,n%d,0,[N/A],%d\n", i, i%700)
	}
	rec, err := processFile(t, pipelinetest.NewRecorder(), 4, nil, strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	if rec.AbsencesTotal != lines || rec.AbsencesByReason["not_supported"] != lines || rec.Absent != lines {
		t.Errorf("got %d absences, %v by reason, %d absent; want %d", rec.AbsencesTotal, rec.AbsencesByReason, rec.Absent, lines)
	}
	if len(rec.Absences) != maxAbsences {
		t.Fatalf("got %d absences listed, want %d", len(rec.Absences), maxAbsences)
	}
	for i, got := range rec.Absences {
		if want := (answer.Absence{Line: i + 2, Column: "temperature", Text: "[N/A]", Reason: "not_supported"}); got != want {
			t.Fatalf("absence %d: got %+v, want %+v", i, got, want)
		}
	}
}
