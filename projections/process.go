package projections

import (
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
)

// listing is how far apart the records of one list of processes are at most.
const listing = events.Timestamp(time.Second)

// IsProcess reports whether a part is a process, of a GPU ("pid:4711") or of one of its instances ("mig:1,pid:4711"). A list of
// processes holds all of a host, so a process ends where the next list does not have it. Other parts are only ever added.
func IsProcess(part string) bool {
	return strings.HasPrefix(part, "pid:") || strings.Contains(part, ",pid:")
}

// IsProcess reports whether the entity is a process.
func (e *LiveEntity) IsProcess() bool { return IsProcess(e.Entity.Part) }

// NewestList returns the newest record time of any process, also of one ahead of its time; ok is false when there is none.
func (l *Live) NewestList() (newest events.Timestamp, ok bool) {
	for i := range l.Entities {
		if e := &l.Entities[i]; e.IsProcess() {
			if at := e.newestFolded(); !ok || at > newest {
				newest, ok = at, true
			}
		}
	}
	return newest, ok
}

// newestFolded returns the newest time of any reading, also of those ahead of their time.
func (e *LiveEntity) newestFolded() events.Timestamp {
	at := minTime
	for i := range e.Latest {
		at = max(at, e.Latest[i].At)
	}
	for i := range e.Ahead {
		at = max(at, e.Ahead[i].At)
	}
	return at
}

// dropEnded returns the entities without the processes that the newest list has not. It may change its argument.
func dropEnded(entities []LiveEntity) []LiveEntity {
	newest := minTime
	for i := range entities {
		if e := &entities[i]; IsProcess(e.Entity.Part) && len(e.Latest) > 0 {
			newest = max(newest, e.SeenAt)
		}
	}
	return slices.DeleteFunc(entities, func(e LiveEntity) bool {
		return IsProcess(e.Entity.Part) && len(e.Ahead) == 0 && newest > minTime && e.SeenAt <= newest-listing
	})
}

// keepNewestList drops what lists before the newest one with this process say of it: another process may have had its
// number then.
func (e *LiveEntity) keepNewestList() {
	from := e.SeenAt - listing
	if older := func(l Latest) bool { return l.At <= from }; slices.ContainsFunc(e.Latest, older) {
		e.Latest = slices.DeleteFunc(slices.Clone(e.Latest), older)
	}
	if older := func(s Said) bool { return s.At <= from }; slices.ContainsFunc(e.Said, older) {
		e.Said = slices.DeleteFunc(slices.Clone(e.Said), older)
	}
	if e.Workload != nil && e.Workload.At <= from {
		e.Workload = nil
	}
}
