package live

import (
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/goldentest"
	"telemetry-pipeline/projections"
)

// tokenParts are the parts of a token.
type tokenParts struct {
	Generation projections.Generation
	At         events.Revision
	OK         bool
}

func TestStoredTokens(t *testing.T) {
	tokens := map[string]tokenParts{
		"token": {"ga98a564c", events.Revision{Epoch: 0x0538c7441940ea1a, Cluster: 0x8926787b21c748d9, Number: 512}, true},
	}
	for name, p := range tokens {
		goldentest.CheckWrittenText(t, name, 1, string(tokenOf(streamOf(p.Generation, access.Everything()), p.At)))
	}
	goldentest.CheckReadable(t, "token", 1, tokens, func(text []byte) (p tokenParts, err error) {
		stream, at, ok := Token(text).parseToken()
		p = tokenParts{projections.Generation(stream), at, ok}
		return p, nil
	})
}
