package watch

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"telemetry-pipeline/ingestd/rows"
)

// header gives the lines at the beginning of text that say what the others mean: a line sep=X, and either
// the lines of comment that tools such as dmon begin with, or the first line. "" when they are not all there. What nvidia-smi
// and the shell say before it is no part of it.
func header(text []byte) string {
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
		if isChatter(l) {
			start = end
			continue
		}
		comments, entity = comments || comment, entity || strings.HasPrefix(l, "#Entity")
		if !skip && !comment {
			return string(text[start:end])
		}
	}
}

const byteOrderMark = "\ufeff" // that a text can begin with

// isSample tells a scrape without comments, which has no header.
func isSample(text []byte) bool {
	name := bytes.TrimLeftFunc(bytes.TrimSpace(text), func(r rune) bool {
		return r == '_' || r == ':' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	})
	return bytes.HasPrefix(name, []byte("{"))
}

// isChatter tells what tools that were begun before the driver was there say, and the shell that kept it.
func isChatter(line string) bool {
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

// newHeader tells where text has a header of the known one's kind that is not equal to it; -1: nowhere. Its
// first cell is a column's name, and no cell a number.
func newHeader(text []byte, header string) int {
	known := []byte(strings.TrimPrefix(strings.TrimRight(lastLine(header), "\r\n"), byteOrderMark))
	if first := strings.TrimSpace(strings.TrimPrefix(header, byteOrderMark)); strings.HasPrefix(first, "#") {
		return newComments(text, first)
	}
	names := cells(known)
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

// newComments is newHeader for tools such as dmon, which say in lines of comment what the columns are.
func newComments(text []byte, known string) int {
	for _, word := range [...]string{"# HELP", "# TYPE", "# UNIT"} { // those of a scrape are about one metric each
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

// separators are those that the server finds by itself.
const separators = ",;\t"

// cells gives the cells of a header, without their quotes.
func cells(line []byte) (all [][]byte) {
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

// namesColumns tells a header from a row.
func namesColumns(line []byte, names [][]byte) bool {
	first := line
	if end := bytes.IndexAny(line, separators); end >= 0 {
		first = line[:end]
	}
	first = bytes.Trim(first, " \r\"")
	named := func(name []byte) bool { return len(name) > 0 && bytes.EqualFold(name, first) }
	number := func(cell []byte) bool { return len(cell) > 0 && '0' <= cell[0] && cell[0] <= '9' }
	return slices.ContainsFunc(names, named) && !slices.ContainsFunc(cells(line), number)
}

func lastLine(header string) string {
	header = strings.TrimRight(header, "\r\n")
	return header[strings.LastIndexByte(header, '\n')+1:]
}

// whole leaves out a row at the end of text that has a quote open, unless the header comes again behind it: then whoever
// wrote the row was ended in the middle of it. Only under a header of names can a quote hold a line end.
func whole(text []byte, header string) []byte {
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

// separatorOf is what stands most often between the names of a header.
func separatorOf(header string) byte {
	return slices.MaxFunc([]byte(separators), func(a, b byte) int {
		return cmp.Compare(strings.Count(header, string(rune(a))), strings.Count(header, string(rune(b))))
	})
}
