package projections

import (
	"encoding/binary"
	"fmt"
	"slices"

	"telemetry-pipeline/events"
)

// names is the table of a model's strings: each once, sorted, then referred to by its index. A string
// omits the prefix that it shares with the one before it, and a UUID is written as its 16 bytes.
type names struct {
	list  []string
	place map[string]int
}

// maxShared bounds the prefix that a string may share, and so the size to which a table may grow when it is parsed.
const maxShared = 62

// addName adds a string to the table.
func (t *names) addName(s string) {
	if t.place == nil {
		t.place, t.list = make(map[string]int, 56), make([]string, 0, 56)
	}
	if _, ok := t.place[s]; !ok {
		t.place[s] = 0
		t.list = append(t.list, s)
	}
}

// sortNames sorts the table; refOf is valid from then on.
func (t *names) sortNames() {
	slices.Sort(t.list)
	for i, s := range t.list {
		t.place[s] = i
	}
}

// refOf returns the index of a string of the table.
func (t *names) refOf(s string) uint64 { return uint64(t.place[s]) }

// optionalRef returns a string's index plus one, or zero when it is equal to usual.
func (t *names) optionalRef(s, usual string) uint64 {
	if s == usual {
		return 0
	}
	return t.refOf(s) + 1
}

// addOptional adds the string that optionalRef needs.
func (t *names) addOptional(s, usual string) {
	if s != usual {
		t.addName(s)
	}
}

func (t *names) appendTable(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t.list)))
	last := ""
	for _, s := range t.list {
		dst = appendName(dst, last, s)
		last = s
	}
	return dst
}

// appendName writes a string behind last. Its first number is a UUID's kind, or the length of the shared prefix plus
// events.UUIDKinds.
func appendName(dst []byte, last, s string) []byte {
	if kind, ok := events.UUIDKindOf(s); ok {
		return events.AppendUUID(append(dst, byte(kind)), s)
	}
	shared := 0
	for shared < min(len(last), len(s), maxShared) && last[shared] == s[shared] {
		shared++
	}
	dst = append(dst, byte(shared+events.UUIDKinds))
	dst = binary.AppendUvarint(dst, uint64(len(s)-shared))
	return append(dst, s[shared:]...)
}

// readNames reads a table. All its strings lie in one piece of memory.
func (r *reader) readNames() []string {
	n := r.readCount(2)
	text := make([]byte, 0, 16*n)
	ends := make([]int, 0, n)
	start := 0
	for range n {
		next := len(text)
		text = r.readName(text, text[start:next])
		start = next
		ends = append(ends, len(text))
	}
	if r.err != nil {
		return nil
	}
	whole, from := string(text), 0
	list := make([]string, n)
	for i, end := range ends {
		list[i] = whole[from:end]
		from = end
	}
	return list
}

// readName reads one string behind dst.
func (r *reader) readName(dst, last []byte) []byte {
	first := r.readBytes(1)
	if first == nil {
		return dst
	}
	kind := int(first[0])
	if kind < events.UUIDKinds {
		b := r.readBytes(16)
		if b == nil {
			return dst
		}
		return events.AppendUUIDText(dst, events.UUIDKind(kind), b)
	}
	shared := kind - events.UUIDKinds
	if shared > min(len(last), maxShared) {
		r.fail(fmt.Errorf("string shares %d bytes with one of %d", shared, len(last)))
		return dst
	}
	dst = append(dst, last[:shared]...)
	return append(dst, r.readBytes(r.readCount(1))...)
}

// readOptional returns the string of an optionalRef.
func (r *reader) readOptional(names []string, usual string) string {
	if i := r.readIndex(len(names) + 1); i > 0 {
		return names[i-1]
	}
	return usual
}

// readRef returns the string of a refOf.
func (r *reader) readRef(names []string) string {
	if i := r.readIndex(len(names)); r.err == nil {
		return names[i]
	}
	return ""
}
