package smidmon

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// identityKey identifies the origin of a row's readings.
type identityKey struct {
	gpu                       int
	pid, processType, command string
}

// maxIdentities bounds the number of cached identities; a full cache is emptied.
const maxIdentities = 1 << 16

// identityOf returns the identity of a row's readings, or nil if it rejected the row.
func (w *worker) identityOf(number, gpu int, pid []byte, out *dialect.Parsed) *events.Identity {
	key := identityKey{gpu: gpu, pid: string(pid)}
	if pid != nil {
		n, err := strconv.ParseUint(key.pid, 10, 32)
		if err != nil {
			out.Reject(number, w.header.columns[w.header.pid].name, pid, "a process id is a number such as 4711, or - where there is no process")
			return nil
		}
		key.pid = strconv.FormatUint(n, 10)
		key.processType = w.readLabel(number, w.header.processType, out)
		key.command = w.readLabel(number, w.header.command, out)
	}
	id := w.identities[key]
	if id == nil {
		if len(w.identities) == maxIdentities {
			clear(w.identities)
		}
		id = key.newIdentity()
		w.identities[key] = id
	}
	return id
}

func (k identityKey) newIdentity() *events.Identity {
	id := &events.Identity{Index: strconv.Itoa(k.gpu)}
	if k.pid == "" {
		return id
	}
	id.Part = "pid:" + k.pid
	for _, l := range [...]events.Label{{Name: "command", Value: k.command}, {Name: "pid", Value: k.pid}, {Name: "type", Value: k.processType}} {
		if l.Value != "" {
			id.Labels = append(id.Labels, l) // in order of their names
		}
	}
	return id
}

// readLabel returns a cell that is a label, or "" if there is none.
func (w *worker) readLabel(number, column int, out *dialect.Parsed) string {
	if column < 0 || metric.Token(w.cells[column]) != events.Present {
		return ""
	}
	text := string(w.cells[column])
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		out.Reject(number, w.header.columns[column].name, w.cells[column], "the text is not valid UTF-8 or has control characters; the label is left out")
		return ""
	}
	return text
}
