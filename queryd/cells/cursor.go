package cells

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// maxName bounds the name of a cluster.
const maxName = 63

// CheckName returns an error unless a text is the name of a cluster: it may stand in a URL and in a cursor.
func CheckName(name string) error {
	valid := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
	}
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return !valid(r) }) {
		return fmt.Errorf("%q is no name of a cluster: give 1 to %d letters, digits, - and _", name, maxName)
	}
	return nil
}

// A cursor over several clusters is a list of positions, separated by dots: the name of a cluster, a tilde and its own cursor, or
// nothing behind the tilde where the cluster has nothing more. A cluster that is not in the list starts at its beginning. Names of
// clusters that the caller does not see are passed over, as if they did not exist.
const (
	cursorSeparator = "."
	nameEnd         = "~"
	maxCursor       = 1 << 20
)

// encodeCursor returns the cursor of positions.
func encodeCursor(at map[string]history.Cursor) history.Cursor { return encodePositions(at) }

// decodeCursor is the inverse of encodeCursor; no positions at all are of "".
func decodeCursor(c history.Cursor) (map[string]history.Cursor, error) { return decodePositions(c) }

// EncodeTokens returns the positions in the live views of clusters as one token, in the form of a cursor.
func EncodeTokens(at map[string]live.Token) live.Token { return encodePositions(at) }

// DecodeTokens is the inverse of EncodeTokens.
func DecodeTokens(t live.Token) (map[string]live.Token, error) { return decodePositions(t) }

func encodePositions[T ~string](at map[string]T) T {
	var positions []string
	for _, name := range slices.Sorted(maps.Keys(at)) {
		positions = append(positions, name+nameEnd+string(at[name]))
	}
	return T(strings.Join(positions, cursorSeparator))
}

func decodePositions[T ~string](text T) (map[string]T, error) {
	at := make(map[string]T)
	if text == "" {
		return at, nil
	}
	if len(text) > maxCursor {
		return nil, history.ErrCursor
	}
	for position := range strings.SplitSeq(string(text), cursorSeparator) {
		name, own, found := strings.Cut(position, nameEnd)
		if _, twice := at[name]; !found || twice || CheckName(name) != nil {
			return nil, history.ErrCursor
		}
		at[name] = T(own)
	}
	return at, nil
}
