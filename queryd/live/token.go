package live

import (
	"encoding/base64"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Token is an opaque position in the stream: generation and position in the projections. A token of another epoch, of
// another generation or of a position that is gone leads to a Reset and a snapshot, never to an error.
type Token string

// Reasons why a position cannot be resumed (Message.Reason of a Reset).
const (
	ResetCompacted  = "compacted"  // the changes since are no longer known
	ResetSlow       = "slow"       // the reader fell behind the kept departures
	ResetEpoch      = "epoch"      // of another log, or no token at all
	ResetGeneration = "generation" // of another set of projections
)

// tokenOf encodes a position; parseToken undoes it.
func tokenOf(g projections.Generation, at events.Revision) Token {
	return Token(base64.RawURLEncoding.EncodeToString([]byte(at.String() + " " + string(g))))
}

// parseToken decodes a position written by tokenOf; ok is false for anything else.
func (t Token) parseToken() (g projections.Generation, at events.Revision, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(string(t))
	if err != nil {
		return "", at, false
	}
	position, generation, found := strings.Cut(string(text), " ")
	if !found {
		return "", at, false
	}
	at, err = events.ParseRevision(position)
	return projections.Generation(generation), at, err == nil
}
