package answer

import "fmt"

// Quarantine lists an upload's events that are stored and could not be folded, or not as a whole.
type Quarantine struct {
	QuarantinedEvents  int                `json:"quarantined_events,omitempty"`  // that have entries of their own
	QuarantinedRecords int                `json:"quarantined_records,omitempty"` // of them that are in no view
	Quarantined        []QuarantinedEntry `json:"quarantined,omitempty"`         // the first of them, and summaries
}

// QuarantinedEntry is an entry of the quarantine.
type QuarantinedEntry struct {
	Partition int    `json:"partition"`
	Entry     string `json:"entry"` // its name
	Key       string `json:"key"`   // of the event
	Reason    string `json:"reason"`
	Text      string `json:"text"`
	Records   int    `json:"records,omitempty"` // that are in no view
	Partial   bool   `json:"partial,omitempty"` // the event's other records are in the views
	Events    int    `json:"events,omitempty"`  // of a summary: events that it counts, perhaps some of this upload
}

func (q *Quarantine) isEmpty() bool { return q.QuarantinedEvents == 0 && len(q.Quarantined) == 0 }

// warning returns a sentence for people.
func (q *Quarantine) warning() string {
	const next = "it is kept, and in no view until the cause is mended; sending it again does not help (docs/runbooks/quarantine.md)"
	if q.QuarantinedEvents == 0 {
		return "everything is stored, but events of this upload may be among those that could not be folded and that the quarantine only counts, since it is full; " + next
	}
	return fmt.Sprintf("everything is stored, but some of it, %d events, could not be folded: %s: %s; %s",
		q.QuarantinedEvents, q.Quarantined[0].Reason, q.Quarantined[0].Text, next)
}
