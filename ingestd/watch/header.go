package watch

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"telemetry-pipeline/ingestd/rows"
)

// parseHeader returns the header at the beginning of text: a line sep=X, and either the comment lines that tools such
// as dmon begin with, or the first line. It returns "" while the header is incomplete. Messages of nvidia-smi and the
// shell before it do not belong to it.
func parseHeader(text []byte) string {
	start, end := 0, 0
	line := func() (string, bool) {
		rest := text[end:]
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			return "", false
		}
		return strings.TrimSpace(strings.TrimPrefix(string(rest[:i]), byteOrderMark)), true
	}
	comments, entity := false, false
	for {
		l, ok := line()
		if !ok {
			return ""
		}
		skip := l == "" || strings.HasPrefix(strings.ToLower(l), "sep=")
		comment := strings.HasPrefix(l, "#") || entity && strings.HasPrefix(l, "ID")
		if comments && !comment {
			return string(text[start:end])
		}
		end += bytes.IndexByte(text[end:], '\n') + 1
		if isPreamble(l) {
			start = end
			continue
		}
		comments, entity = comments || comment, entity || strings.HasPrefix(l, "#Entity")
		if !skip && !comment {
			return string(text[start:end])
		}
	}
}

const byteOrderMark = "\ufeff" // optional at the beginning of a text

// isSample reports whether text begins with a sample of a scrape without comments, which has no header.
func isSample(text []byte) bool {
	name := bytes.TrimLeftFunc(bytes.TrimSpace(text), func(r rune) bool {
		return r == '_' || r == ':' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	})
	return bytes.HasPrefix(name, []byte("{"))
}

// isPreamble reports whether a line is a message of the shell, or of a tool that started before the driver was
// loaded.
func isPreamble(line string) bool {
	for _, word := range [...]string{
		"NVIDIA-SMI has failed", "Failed to initialize NVML", "NVML library version", "No devices were found",
		"Unable to determine the device handle", "nohup: ",
	} {
		if strings.HasPrefix(line, word) {
			return true
		}
	}
	return false
}

// findNewHeader returns the offset of a header of the same kind as header but not equal to it; -1 if there is none. A
// header's first cell is a column name, and no cell is a number.
func findNewHeader(text []byte, header string) int {
	known := []byte(strings.TrimPrefix(strings.TrimRight(lastLine(header), "\r\n"), byteOrderMark))
	if first := strings.TrimSpace(strings.TrimPrefix(header, byteOrderMark)); strings.HasPrefix(first, "#") {
		return findNewComments(text, first)
	}
	names := headerCells(known)
	if len(names) < 2 {
		return -1
	}
	for at := 0; at < len(text); {
		line, _, found := bytes.Cut(text[at:], []byte("\n"))
		if namesColumns(line, names) && !bytes.Equal(bytes.TrimRight(line, "\r"), known) {
			return at
		}
		if !found {
			break
		}
		at += len(line) + 1
	}
	return -1
}

// findNewComments is findNewHeader for tools such as dmon, which name the columns in comment lines.
func findNewComments(text []byte, known string) int {
	for _, word := range [...]string{"# HELP", "# TYPE", "# UNIT"} { // a scrape has such lines for each metric
		if strings.HasPrefix(known, word) {
			return -1
		}
	}
	within := false
	for at := 0; at < len(text); {
		line, _, found := bytes.Cut(text[at:], []byte("\n"))
		comment := bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("#"))
		if comment && !within && !bytes.HasPrefix(bytes.TrimLeft(text[at:], " "), []byte(known)) {
			return at
		}
		within = comment
		if !found {
			break
		}
		at += len(line) + 1
	}
	return -1
}

// separators are the cell separators that the server detects.
const separators = ",;\t"

// headerCells returns the cells of a header, without quotes.
func headerCells(line []byte) (all [][]byte) {
	for len(line) > 0 {
		end := bytes.IndexAny(line, separators)
		if end < 0 {
			end = len(line)
		}
		all = append(all, bytes.Trim(line[:end], " \r\""))
		line = line[min(end+1, len(line)):]
	}
	return all
}

// namesColumns reports whether a line is a header, not a row.
func namesColumns(line []byte, names [][]byte) bool {
	first := line
	if end := bytes.IndexAny(line, separators); end >= 0 {
		first = line[:end]
	}
	first = bytes.Trim(first, " \r\"")
	named := func(name []byte) bool { return len(name) > 0 && bytes.EqualFold(name, first) }
	number := func(cell []byte) bool { return len(cell) > 0 && '0' <= cell[0] && cell[0] <= '9' }
	return slices.ContainsFunc(names, named) && !slices.ContainsFunc(headerCells(line), number)
}

func lastLine(header string) string {
	header = strings.TrimRight(header, "\r\n")
	return header[strings.LastIndexByte(header, '\n')+1:]
}

// trimOpenRow removes a row with an open quote from the end of text, unless the header follows again inside it: then
// the tool that wrote the row was ended in the middle of it. A quoted cell can contain a line break only under a
// header of column names.
func trimOpenRow(text []byte, header string) []byte {
	names := lastLine(header)
	if names == "" || strings.HasPrefix(names, "#") || text[len(text)-1] != '\n' {
		return text
	}
	end := rows.CompleteRows(text, separatorOf(header))
	if bytes.Contains(text[end:], []byte("\n"+names)) {
		return text
	}
	return text[:end]
}

// separatorOf returns the most frequent separator in a header.
func separatorOf(header string) byte {
	return slices.MaxFunc([]byte(separators), func(a, b byte) int {
		return cmp.Compare(strings.Count(header, string(rune(a))), strings.Count(header, string(rune(b))))
	})
}
