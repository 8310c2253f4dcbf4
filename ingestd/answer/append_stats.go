package answer

import "telemetry-pipeline/events"

// AppendStats counts the events of an upload and their records as the log took them.
type AppendStats struct {
	Accepted, Duplicate, Absent int64 // records
	Events                      EventCount
	First, Last                 events.Timestamp // of all records, when any
	Revision                    events.Revision  // newest
	Reached                     map[events.Partition]events.Revision
	Spans                       map[events.Partition][2]int64 // first and last revision
	Existing                    []events.Ref                  // events that the log had already, the first maxExisting of them
}

// maxExisting bounds the memory for events that the log had already.
const maxExisting = 10_000

// CountEvent counts an event that was appended, or was in the log already, at a position of a partition.
func (t *AppendStats) CountEvent(e *events.Event, created bool, p events.Partition, at events.Ref) {
	records := int64(e.Records())
	if created {
		t.Accepted += records
		t.Events.Appended++
	} else {
		t.Duplicate += records
		t.Events.Existing++
		t.addExisting(at)
	}
	for i := range e.Columns {
		c := &e.Columns[i]
		t.Absent += int64(len(c.Absent))
		if c.Len() == 0 {
			continue
		}
		if t.First == 0 || c.Times[0] < t.First {
			t.First = c.Times[0]
		}
		t.Last = max(t.Last, c.Times[c.Len()-1])
	}
	t.noteReached(p, at.Revision)
	t.extendSpan(p, [2]int64{at.Revision.Number, at.Revision.Number})
}

func (t *AppendStats) addExisting(refs ...events.Ref) {
	t.Existing = append(t.Existing, refs[:min(len(refs), maxExisting-len(t.Existing))]...)
}

func (t *AppendStats) extendSpan(p events.Partition, span [2]int64) {
	if t.Spans == nil {
		t.Spans = map[events.Partition][2]int64{}
	}
	if was, known := t.Spans[p]; known {
		span = [2]int64{min(was[0], span[0]), max(was[1], span[1])}
	}
	t.Spans[p] = span
}

func (t *AppendStats) noteReached(p events.Partition, r events.Revision) {
	if r.Number > t.Revision.Number {
		t.Revision = r
	}
	if r.Number > t.Reached[p].Number {
		t.Reached[p] = r
	}
}

// ExtendBy adds the positions that other events reached and the span of their times.
func (t *AppendStats) ExtendBy(other *AppendStats) {
	if t.Reached == nil {
		t.Reached = map[events.Partition]events.Revision{}
	}
	if other.First != 0 && (t.First == 0 || other.First < t.First) {
		t.First = other.First
	}
	t.Last = max(t.Last, other.Last)
	for p, r := range other.Reached {
		t.noteReached(p, r)
	}
	for p, span := range other.Spans {
		t.extendSpan(p, span)
	}
	t.addExisting(other.Existing...)
}
