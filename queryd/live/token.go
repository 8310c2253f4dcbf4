package live

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
)

// Token is an opaque position in a stream: generation, scope unless it is of everything, and position in the projections. A
// token of another epoch, generation or scope, or of a position that is gone, leads to a Reset and a snapshot, never to an
// error.
type Token string

// Reasons why a position cannot be resumed (Message.Reason of a Reset).
const (
	ResetCompacted  = "compacted"  // the changes since are no longer known
	ResetSlow       = "slow"       // the reader fell behind the kept departures
	ResetEpoch      = "epoch"      // of another log, or no token at all
	ResetGeneration = "generation" // of another set of projections
)

// streamName names the changes of a generation in a scope: positions in different streams cannot be compared.
type streamName string

// streamOf returns the name of the stream of a generation in a scope. A generation's name has no spaces.
func streamOf(g projections.Generation, scope access.Scope) streamName {
	if scope.IsWhole() {
		return streamName(g)
	}
	digest := sha256.Sum256([]byte(scope.String()))
	return streamName(fmt.Sprintf("%s %x", g, digest[:8]))
}

// tokenOf encodes a position; parseToken undoes it.
func tokenOf(stream streamName, at events.Revision) Token {
	return Token(base64.RawURLEncoding.EncodeToString([]byte(at.String() + " " + string(stream))))
}

// parseToken decodes a position written by tokenOf; ok is false for anything else.
func (t Token) parseToken() (stream streamName, at events.Revision, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(string(t))
	if err != nil {
		return "", at, false
	}
	position, name, found := strings.Cut(string(text), " ")
	if !found {
		return "", at, false
	}
	at, err = events.ParseRevision(position)
	return streamName(name), at, err == nil
}
