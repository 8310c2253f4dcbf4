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

// SelectPast returns the part of then that the namespaces of the scope of s select: the GPUs that visible workloads used then.
// then is a State WithHosts of s.OnHosts.
func (s *State) SelectPast(then *State) *State {
	var visible []projections.Stored
	for host := range then.hosts.all() {
		if part, ok := host.InNamespaces(host.Names, s.scope.HasNamespace); ok && s.scope.HasHost(host.ID) {
			visible = append(visible, projections.Stored{Host: host.ID, Partition: host.Partition, Live: &part.Live, Identity: &part.Identity})
		}
	}
	past := s.WithHosts(visible)
	past.whole = then
	return past
}
