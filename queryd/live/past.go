package live

import (
	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// WithHosts returns a State of other models at the position of s, for answers about the past in the same form as answers
// about the present. No reader can resume from it: its token names the position of s.
func (s *State) WithHosts(hosts []projections.Stored) *State {
	v := newView(events.Facts{Epoch: s.at.Epoch, Cluster: s.at.Cluster}, s.generation, s.scope)
	v.applyVisible(projections.Batch{At: s.at, Hosts: hosts}, s.asOf) // of hosts of s, which has only what its scope selects
	past := v.state
	past.streamPosition, past.generationSwitches = s.streamPosition, s.generationSwitches
	past.partitionsFolded, past.hotFrom = s.partitionsFolded, s.hotFrom
	return past
}
