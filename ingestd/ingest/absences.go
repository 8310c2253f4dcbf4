package ingest

import (
	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/rows"
)

// maxAbsences is how many absent readings an answer lists; the rest is counted.
const maxAbsences = 1000

// absence is a reading that a file has without a value: stored with its reason, never as 0.
type absence struct {
	Line   int    `json:"line"`
	Column string `json:"column"` // the metric's name where a column does not say it
	Text   string `json:"text"`
	Reason string `json:"reason"`
}

// implausible counts the readings of one metric of one GPU that nobody can believe: a GPU, a driver or a converter is
// broken, and which one shows in how many GPUs and metrics are concerned.
type implausible struct {
	Host    events.HostID `json:"host"`
	GPU     events.GPUID  `json:"gpu,omitempty"`
	Part    string        `json:"part,omitempty"`
	Metric  string        `json:"metric"`
	Count   int64         `json:"count"`
	Example string        `json:"example"` // the first of them
}

// doubts are places in a list of implausible, by what they are of: an implausible without count and example.
type doubts map[implausible]int

// absences are those of a file, in its order.
type absences struct {
	Absences         []absence        `json:"absences"` // the first of them
	AbsencesTotal    int64            `json:"absences_total"`
	AbsencesByReason map[string]int64 `json:"absences_by_reason,omitempty"`
	Implausible      []implausible    `json:"implausible,omitempty"` // by where they are first found, maxAbsences at most
}

// take notes those of a batch.
func (a *absences) take(b *batch, d doubts) {
	if b.parsed.Absent == 0 {
		return
	}
	at := 0
	for _, row := range b.rows {
		for ; at < row.records; at++ {
			if r := &b.parsed.Records[at]; r.Value.Absent != events.Present {
				a.note(row.line, r)
				a.doubt(d, row.host, r)
			}
		}
	}
}

func (a *absences) note(line int, r *events.Record) {
	reason := r.Value.Absent.String()
	if a.AbsencesTotal++; len(a.Absences) < maxAbsences {
		a.Absences = append(a.Absences, absence{line, r.Source, rows.Excerpt(r.Text), reason})
	}
	a.count(reason, 1)
}

func (a *absences) doubt(d doubts, host events.HostID, r *events.Record) {
	if r.Value.Absent != events.Implausible {
		return
	}
	entity := r.Identity.Entity(host)
	of := implausible{Host: host, GPU: entity.GPU, Part: entity.Part, Metric: r.Metric}
	i, known := d[of]
	if !known {
		if i = len(a.Implausible); i == maxAbsences {
			return
		}
		d[of] = i
		of.Example = rows.Excerpt(r.Text)
		a.Implausible = append(a.Implausible, of)
	}
	a.Implausible[i].Count++
}

func (a *absences) count(reason string, n int64) {
	if a.AbsencesByReason == nil {
		a.AbsencesByReason = map[string]int64{}
	}
	a.AbsencesByReason[reason] += n
}

// add takes over the counts of another file; each lists its own.
func (a *absences) add(other *absences) {
	a.AbsencesTotal += other.AbsencesTotal
	for reason, n := range other.AbsencesByReason {
		a.count(reason, n)
	}
}
