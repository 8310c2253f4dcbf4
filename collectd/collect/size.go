package collect

import (
	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// maxModelBytes bounds the models of a host. Each is one value in etcd, which accepts a megabyte and a half; a host whose
// GPUs or labels never repeat would outgrow that and block its whole partition.
const maxModelBytes = 1 << 20

// foldWithin folds an event into its host's models as far as they have room for it. The returned failure is partial if
// some of the event's records are folded.
func foldWithin(h *projections.Host, ev *events.Event, bounds projections.Bounds, apply applyEvent) (projections.Host, projections.Effect, *failure) {
	next := *h
	effect := apply(&next, ev, bounds)
	if isTooLarge(&next, effect) {
		next = *h
		bounds.Closed = true
		effect = apply(&next, ev, bounds)
		if isTooLarge(&next, effect) {
			return *h, projections.Effect{}, &failure{reason: oversized, text: projections.ClosedReason}
		}
	}
	if r := effect.Refused; r.Records > 0 {
		return next, effect, partialFailure(oversized, r.Reason, r.Records)
	}
	return next, effect, nil
}

func isTooLarge(h *projections.Host, effect projections.Effect) bool {
	return effect.Identity && h.Identity.IsLarger(maxModelBytes) || effect.Live && h.Live.IsLarger(maxModelBytes)
}
