package answer

import "telemetry-pipeline/events"

// AppendStats counts the events of an upload and their records as the log took them.
type AppendStats struct {
	Accepted, Duplicate, Absent int64 // records
	Events                      EventCount
	First, Last                 events.Timestamp // of all records, when any
	Revision                    events.Revision  // newest
	Reached                     map[events.Partition]events.Revision
}

// CountEvent counts an event that was appended, or was in the log already, at a revision of a partition.
func (t *AppendStats) CountEvent(e *events.Event, created bool, p events.Partition, at events.Revision) {
	records := int64(e.Records())
	if created {
		t.Accepted += records
		t.Events.Appended++
	} else {
		t.Duplicate += records
		t.Events.Existing++
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
	t.noteReached(p, at)
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
}
