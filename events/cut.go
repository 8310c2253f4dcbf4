package events

// Cutter packs an upload's rows into events: an event per host for every CutRules.EventRecords rows or
// EventBytes; when OpenRecords are open in all, the host with the most open records is cut (ties: the
// smaller name). Rows come in file order, so the cut depends on the content alone. Not safe for concurrent use.
type Cutter struct {
}

// NewCutter starts the cut of one file.
func NewCutter(rules CutRules, upload UploadID, zone string) *Cutter { panic("contract") }

// Row counts one row of host (size is its source text's length), accepted or not, with the records it gave, and
// returns the events that it completes, if any.
func (c *Cutter) Row(host HostID, size int, records []Record) []Event { panic("contract") }

// Flush completes what is open, in order of host name.
func (c *Cutter) Flush() []Event { panic("contract") }
