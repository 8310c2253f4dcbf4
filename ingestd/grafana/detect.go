package grafana

import "bytes"

// beginsWithSelectors reports whether the text begins with a header of Time and at least one full selector. It
// searches the text, because the quotes of the selectors prevent old exports from being split into cells like others.
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

// headerLine returns the line of the header: the first that is neither blank nor Excel's sep=;.
func headerLine(head []byte) []byte {
	for line := range bytes.Lines(head) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && !(len(line) == len("sep=;") && hasName(line[:len("sep=")], "sep=")) {
			return line
		}
	}
	return nil
}
