package live

import (
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/trace"
)

// tracedChange is a change that was stored in a sampled trace.
type tracedChange struct {
	at   int64
	from events.TraceContext
}

// noteTrace notes the trace of the state's newest change. Only the newest trace.MaxLinks changes are kept.
func (s *State) noteTrace(from events.TraceContext) {
	if from.IsZero() {
		return
	}
	kept := s.traced[max(0, len(s.traced)+1-trace.MaxLinks):]
	s.traced = append(slices.Clone(kept), tracedChange{s.at.Number, from}) // earlier States have the list as it was
}

// tracesAfter returns the traces of the changes after a position.
func (s *State) tracesAfter(after int64) (all []events.TraceContext) {
	for _, c := range s.traced {
		if c.at > after {
			all = append(all, c.from)
		}
	}
	return all
}

// TakeTraces returns the sampled traces in which the message's changes were stored, to the first of the message's readers; nil to all
// others, so that a push to many readers is recorded once. Changes that the reader's filter leaves out may be among them.
func (m *Message) TakeTraces() []events.TraceContext {
	if len(m.traces) == 0 || m.tracesTaken.Swap(true) {
		return nil
	}
	return m.traces
}
