package collect

import (
	"fmt"

	"telemetry-pipeline/projections"
)

// A host's model is one value in etcd, which accepts a megabyte and a half. A host whose labels never repeat would
// outgrow that and block its whole partition, so an event that would make the model too large is not folded.
const (
	maxModelBytes = 1 << 20
	fewIdentities = 500  // a smaller number is never too large, and is not measured
	fewEntities   = 2000 // likewise
)

// tooLarge returns the failure of an event that would make this host too large, or nil.
func tooLarge(h *projections.Host, effect projections.Effect) *failure {
	if n := len(h.Identity.Known); effect.Identity && n > fewIdentities {
		if size := len(projections.AppendIdentity(nil, &h.Identity)); size > maxModelBytes {
			return oversizeFailure("labels (pods, for instance) that differ", n, size)
		}
	}
	if n := len(h.Live.Entities); effect.Live && n > fewEntities {
		if size := len(projections.AppendLive(nil, &h.Live)); size > maxModelBytes {
			return oversizeFailure("GPUs and parts of GPUs", n, size)
		}
	}
	return nil
}

func oversizeFailure(of string, n, size int) *failure {
	return &failure{reason: oversized, text: fmt.Sprintf(
		"folding it would give its host %d sets of %s, %d bytes where at most %d fit: is a label different in every row?", n, of, size, maxModelBytes)}
}
