package cells

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"telemetry-pipeline/queryd/history"
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
func encodeCursor(at map[string]history.Cursor) history.Cursor {
	var positions []string
	for _, name := range slices.Sorted(maps.Keys(at)) {
		positions = append(positions, name+nameEnd+string(at[name]))
	}
	return history.Cursor(strings.Join(positions, cursorSeparator))
}

// decodeCursor is the inverse of encodeCursor; no positions at all are of "".
func decodeCursor(c history.Cursor) (map[string]history.Cursor, error) {
	at := make(map[string]history.Cursor)
	if c == "" {
		return at, nil
	}
	if len(c) > maxCursor {
		return nil, history.ErrCursor
	}
	for position := range strings.SplitSeq(string(c), cursorSeparator) {
		name, own, found := strings.Cut(position, nameEnd)
		if _, twice := at[name]; !found || twice || CheckName(name) != nil {
			return nil, history.ErrCursor
		}
		at[name] = history.Cursor(own)
	}
	return at, nil
}
