package answer

import "telemetry-pipeline/events"

// Absence is a reading that a file has without a value: stored with its reason, never as 0.
type Absence struct {
	Line   int    `json:"line"`
	Column string `json:"column"` // the metric's name where a column does not say it
	Text   string `json:"text"`
	Reason string `json:"reason"`
}

// Implausible counts the impossible readings of one metric of one GPU: a GPU, a driver or a converter is broken, and
// the number of GPUs and metrics concerned shows which.
type Implausible struct {
	Host    events.HostID `json:"host"`
	GPU     events.GPUID  `json:"gpu,omitempty"`
	Part    string        `json:"part,omitempty"`
	Metric  string        `json:"metric"`
	Count   int64         `json:"count"`
	Example string        `json:"example"` // the first of them
}

// AbsentReadings lists the absent readings of a file in its order.
type AbsentReadings struct {
	Absences         []Absence        `json:"absences"` // the first of them
	AbsencesTotal    int64            `json:"absences_total"`
	AbsencesByReason map[string]int64 `json:"absences_by_reason,omitempty"`
	Implausible      []Implausible    `json:"implausible,omitempty"` // by where they are first found, maxAbsences at most
}

// CountReason counts n absent readings of a reason.
func (a *AbsentReadings) CountReason(reason string, n int64) {
	if a.AbsencesByReason == nil {
		a.AbsencesByReason = map[string]int64{}
	}
	a.AbsencesByReason[reason] += n
}

// AddCounts adds the counts of another file. The lists of both stay as they are.
func (a *AbsentReadings) AddCounts(other *AbsentReadings) {
	a.AbsencesTotal += other.AbsencesTotal
	for reason, n := range other.AbsencesByReason {
		a.CountReason(reason, n)
	}
}
