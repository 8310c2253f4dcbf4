package collect

import (
	"fmt"

	"telemetry-pipeline/projections"
)

// A host's model is one value in etcd, which takes a megabyte and a half. A host whose labels never repeat
// would outgrow that and hold its whole partition up, so what would make it too large is not folded.
const (
	maxModelBytes = 1 << 20
	fewIdentities = 500  // so few cannot be too large, and need not be measured
	fewEntities   = 2000 // likewise
)

// tooLarge tells why an event that made this host cannot be kept; nil when it can.
func tooLarge(h *projections.Host, effect projections.Effect) *failure {
	if n := len(h.Identity.Known); effect.Identity && n > fewIdentities {
		if size := len(projections.AppendIdentity(nil, &h.Identity)); size > maxModelBytes {
			return oversize("labels (pods, for instance) that differ", n, size)
		}
	}
	if n := len(h.Live.Entities); effect.Live && n > fewEntities {
		if size := len(projections.AppendLive(nil, &h.Live)); size > maxModelBytes {
			return oversize("GPUs and parts of GPUs", n, size)
		}
	}
	return nil
}

func oversize(of string, n, size int) *failure {
	return &failure{reason: oversized, text: fmt.Sprintf(
		"folding it would give its host %d sets of %s, %d bytes where at most %d fit: is a label different in every row?", n, of, size, maxModelBytes)}
}
