package pipeline

import (
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
)

// fillReceipt enters the findings of a pipeline that has ended, with or without an error.
func fillReceipt(r *answer.Receipt, seq *sequencer, t *answer.AppendStats, zone string) {
	r.Accepted, r.Duplicate, r.Absent = t.Accepted, t.Duplicate, t.Absent
	r.RecordCount = r.Accepted + r.Duplicate
	r.Events = t.Events
	r.Rejected, r.ErrorsTotal = seq.rejected, seq.rejected
	r.Errors = append(r.Errors, seq.faults...)
	r.Warnings = append(r.Warnings, seq.warningTexts(zone)...)
	r.Skipped = seq.skipped
	r.Absences = append(r.Absences, seq.absences.Absences...)
	r.Implausible = seq.absences.Implausible
	r.AbsentReadings.AddCounts(&seq.absences.AbsentReadings)
	r.Metadata.Rows = seq.rows
	if seq.zoneAssumed {
		r.Metadata.Zone = zone
	}
	r.SetReached(t)
}

// completeReceipt adds the figures of a file that was read and appended to its end.
func completeReceipt(r *answer.Receipt, f *intake.File, seq *sequencer) {
	r.ContentHash = f.ContentHash()
	r.RecordCount = seq.records
	r.Duplicate = seq.records - r.Accepted // with the repeats within the file, which are one record in their event
}
