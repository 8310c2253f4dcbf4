package archive

import (
	"encoding/json"
	"fmt"

	"telemetry-pipeline/events"
)

// MaxRecords bounds the records of one entry, and so the memory that reading or merging takes. A writer ends the range
// before the bound is reached (an event has at most some hundred thousand records).
const MaxRecords = 2 << 20

// MaxEvents bounds the events of one entry.
const MaxEvents = 1 << 20

// entryVersion is the version of the JSON form of an Entry.
const entryVersion = 1

// Kind is the kind of an object's rows. It is the first part of the object's name.
type Kind string

// The kinds of objects.
const (
	Records Kind = "records"  // readings
	Events  Kind = "events"   // the event table
	Minutes Kind = "minutely" // rollups by minute
	Hours   Kind = "hourly"   // rollups by hour
)

// The kinds of rollups before they had the column first_at. They are read, and not written any more.
const (
	firstMinutes Kind = "minutes"
	firstHours   Kind = "hours"
)

var kinds = []Kind{Records, Events, Minutes, Hours, firstMinutes, firstHours} // never written

// Object is one Parquet object of an entry.
type Object struct {
	Kind  Kind   `json:"kind"`
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Hash  string `json:"sha256"` // of the content, in hexadecimal digits
	Rows  int64  `json:"rows"`
}

// Entry describes the archived events of one partition with First ≤ revision ≤ Last. A range without events has no
// objects.
type Entry struct {
	Partition   events.Partition
	First, Last events.Revision
	Objects     []Object // in order of kind: records, events, minutely, hourly

	Events  int64 // all of them
	Damaged int64 // events without records for that reason
	Records int64

	From, To                 events.Timestamp // record times, both included; 0 without records
	AppendedFrom, AppendedTo events.Timestamp // append times, where known
}

// Object returns the entry's object of a kind, or of its first form, and whether it has one.
func (e *Entry) Object(kind Kind) (Object, bool) {
	for _, o := range e.Objects {
		if o.Kind == kind || kind == Minutes && o.Kind == firstMinutes || kind == Hours && o.Kind == firstHours {
			return o, true
		}
	}
	return Object{}, false
}

// HasRollups reports whether the entry has rollups in the form that Merge writes.
func (e *Entry) HasRollups() bool {
	o, found := e.Object(Hours)
	return found && o.Kind == Hours
}

// Bytes returns the total size of the entry's objects.
func (e *Entry) Bytes() int64 {
	var n int64
	for _, o := range e.Objects {
		n += o.Bytes
	}
	return n
}

// entryJSON is the stored form of an Entry. Fields may be added; a change of meaning is a new version.
type entryJSON struct {
	Version      int      `json:"version"`
	Partition    int      `json:"partition"`
	First        string   `json:"first"`
	Last         string   `json:"last"`
	Objects      []Object `json:"objects,omitempty"`
	Events       int64    `json:"events"`
	Damaged      int64    `json:"damaged,omitempty"`
	Records      int64    `json:"records"`
	From         string   `json:"from,omitempty"`
	To           string   `json:"to,omitempty"`
	AppendedFrom string   `json:"appended_from,omitempty"`
	AppendedTo   string   `json:"appended_to,omitempty"`
}

// MarshalJSON returns the stored form, with its version.
func (e Entry) MarshalJSON() ([]byte, error) {
	j := entryJSON{
		Version: entryVersion, Partition: int(e.Partition), First: e.First.String(), Last: e.Last.String(),
		Objects: e.Objects, Events: e.Events, Damaged: e.Damaged, Records: e.Records,
		AppendedFrom: optionalTime(e.AppendedFrom), AppendedTo: optionalTime(e.AppendedTo),
	}
	if e.Records > 0 {
		j.From, j.To = e.From.String(), e.To.String()
	}
	return json.Marshal(j)
}

func optionalTime(t events.Timestamp) string {
	if t == 0 {
		return ""
	}
	return t.String()
}

// UnmarshalJSON parses the stored form. It refuses the form of a later version.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var j entryJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("reading archive entry: %w", err)
	}
	if j.Version != entryVersion {
		return fmt.Errorf("reading archive entry: it has version %d, this program knows %d; use the version that wrote it, or a later one", j.Version, entryVersion)
	}
	read := Entry{Partition: events.Partition(j.Partition), Objects: j.Objects, Events: j.Events, Damaged: j.Damaged, Records: j.Records}
	var err error
	if read.First, err = events.ParseRevision(j.First); err != nil {
		return fmt.Errorf("reading archive entry: %w", err)
	}
	if read.Last, err = events.ParseRevision(j.Last); err != nil {
		return fmt.Errorf("reading archive entry: %w", err)
	}
	for _, f := range []struct {
		text  string
		field *events.Timestamp
	}{
		{j.From, &read.From},
		{j.To, &read.To},
		{j.AppendedFrom, &read.AppendedFrom},
		{j.AppendedTo, &read.AppendedTo},
	} {
		if f.text == "" {
			continue
		}
		if *f.field, err = events.ParseTimestamp(f.text); err != nil {
			return fmt.Errorf("reading archive entry: %w", err)
		}
	}
	*e = read
	return nil
}
