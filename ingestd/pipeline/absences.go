package pipeline

import (
	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/rows"
)

// maxAbsences is the number of absent readings that an answer lists; the rest is counted.
const maxAbsences = 1000

// absenceCollector lists the absent readings of a file as its rows come in order.
type absenceCollector struct {
	answer.AbsentReadings
	index map[answer.Implausible]int // in the list, by an Implausible without count and example
}

// addBatch notes the absent readings of a batch.
func (a *absenceCollector) addBatch(b *batch) {
	if b.parsed.Absent == 0 {
		return
	}
	at := 0
	for _, row := range b.rows {
		for ; at < row.records; at++ {
			if r := &b.parsed.Records[at]; r.Value.Absent != events.Present {
				a.noteAbsent(row.line, r)
				a.noteImplausible(row.host, r)
			}
		}
	}
}

func (a *absenceCollector) noteAbsent(line int, r *events.Record) {
	reason := r.Value.Absent.String()
	if a.AbsencesTotal++; len(a.Absences) < maxAbsences {
		a.Absences = append(a.Absences, answer.Absence{Line: line, Column: r.Source, Text: rows.Excerpt(r.Text), Reason: reason})
	}
	a.CountReason(reason, 1)
}

func (a *absenceCollector) noteImplausible(host events.HostID, r *events.Record) {
	if r.Value.Absent != events.Implausible {
		return
	}
	entity := r.Identity.Entity(host)
	of := answer.Implausible{Host: host, GPU: entity.GPU, Part: entity.Part, Metric: r.Metric}
	i, known := a.index[of]
	if !known {
		if i = len(a.Implausible); i == maxAbsences {
			return
		}
		if a.index == nil {
			a.index = map[answer.Implausible]int{}
		}
		a.index[of] = i
		of.Example = rows.Excerpt(r.Text)
		a.Implausible = append(a.Implausible, of)
	}
	a.Implausible[i].Count++
}
