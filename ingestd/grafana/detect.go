package grafana

import "bytes"

// beginsWithSelectors tells a header Time and at least one full selector. It looks at the text, as the quotes
// of the selectors keep old exports from being cut into cells like others.
func beginsWithSelectors(head []byte) bool {
	line := headerLine(head)
	for _, sep := range []byte{',', ';', '\t'} {
		first, rest, found := bytes.Cut(line, []byte{sep})
		if found && hasName(bytes.Trim(first, `"`), "time") && bytes.IndexByte(rest, '{') >= 0 {
			return true
		}
	}
	return false
}

// headerLine gives the line of the header: the first that is neither blank nor Excel's sep=;.
func headerLine(head []byte) []byte {
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && !(len(line) == len("sep=;") && hasName(line[:len("sep=")], "sep=")) {
			return line
		}
	}
	return nil
}
