package live

import (
	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// With gives a State of other models than s has, at the place of s: what hosts are told to be, and nothing else. It is
// for what was, which those who answer from a State then tell as they tell what is. Nobody can follow it: as a position
// its token is that of s.
func (s *State) With(hosts []projections.Stored) *State {
	v := newView(events.Facts{Epoch: s.at.Epoch, Cluster: s.at.Cluster}, s.generation)
	v.applyBatch(projections.Batch{At: s.at, Hosts: hosts}, s.asOf)
	past := v.state
	past.streamPosition, past.partitionsFolded, past.generationSwitches = s.streamPosition, s.partitionsFolded, s.generationSwitches
	return past
}
