package intake

import (
	"testing"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/unpack"
)

// Every kind of unpack error has an answer of its own.
func TestEveryKindOfUnpackErrorIsARefusal(t *testing.T) {
	for kind := unpack.Damaged; kind <= unpack.Unsupported; kind++ {
		if r := answer.RefusalOf(refuseUnpack(&unpack.Error{Kind: kind})); r.Status < 400 || r.Status > 499 {
			t.Errorf("kind %d: got status %d, want one that tells the sender", kind, r.Status)
		}
	}
}
