package events

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key is the parsed key of an event. Below the root the key is
//
//	queue/{cluster-id}/{partition}/{timestamp}_{hostname}_{gpu_id}_{sequence}
//
// Only this file knows these bytes. Within a partition, keys are ordered by At, then Host.
type Key struct {
	Cluster   string
	Partition Partition
	At        Timestamp // the event's first record time
	Host      HostID
	GPU       string // the index of the event's only GPU, or its GPUID; "first-last" for several; "" for none
	Sequence  ContentHash
}

const (
	queueDir = "queue/"
	keyTime  = "20060102T150405.000000000Z" // fixed width, UTC
)

// EventKey returns the key of an event in a cluster's log with that many partitions.
func EventKey(cluster string, partitions int, ev *Event) Key {
	return Key{
		Cluster:   cluster,
		Partition: PartitionOf(ev.Host, partitions),
		At:        ev.First(),
		Host:      ev.Host,
		GPU:       ev.gpuPart(),
		Sequence:  ev.Sequence,
	}
}

// QueuePrefix returns the prefix of all event keys of a cluster, including foreign ones.
func QueuePrefix(cluster string) string { return queueDir + Escape(cluster) + "/" }

// PartitionPrefix returns the prefix of the event keys of a partition.
func PartitionPrefix(cluster string, p Partition) string {
	return QueuePrefix(cluster) + p.String() + "/"
}

// String returns the key below the root.
func (k Key) String() string {
	return PartitionPrefix(k.Cluster, k.Partition) + strings.Join([]string{
		k.At.Time().Format(keyTime),
		Escape(string(k.Host)),
		Escape(k.GPU),
		k.Sequence.String(),
	}, "_")
}

// ParseKey parses the result of String and rejects any other text, so that two different texts never parse to the
// same Key.
func ParseKey(text string) (Key, error) {
	k, err := parseKey(text)
	if err == nil && k.String() != text {
		err = fmt.Errorf("%q is how it is written", k.String())
	}
	if err != nil {
		return Key{}, fmt.Errorf("parsing event key %.200q: %w", text, err)
	}
	return k, nil
}

func parseKey(text string) (k Key, err error) {
	segments := strings.Split(text, "/")
	if len(segments) != 4 || segments[0]+"/" != queueDir {
		return Key{}, fmt.Errorf("it is not %s{cluster-id}/{partition}/{event}", queueDir)
	}
	if k.Cluster, err = Unescape(segments[1]); err != nil {
		return Key{}, err
	}
	if k.Partition, err = ParsePartition(segments[2]); err != nil {
		return Key{}, err
	}
	parts := strings.Split(segments[3], "_")
	if len(parts) != 4 {
		return Key{}, fmt.Errorf("%.100q is not {timestamp}_{hostname}_{gpu_id}_{sequence}", segments[3])
	}
	at, err := time.Parse(keyTime, parts[0])
	if err != nil {
		return Key{}, fmt.Errorf("time %.40q is not as %s", parts[0], keyTime)
	}
	if k.At, err = checkedTimestamp(at); err != nil {
		return Key{}, err
	}
	host, err := Unescape(parts[1])
	if err != nil {
		return Key{}, err
	}
	k.Host = HostID(host)
	if k.GPU, err = Unescape(parts[2]); err != nil {
		return Key{}, err
	}
	k.Sequence, err = ParseContentHash(parts[3])
	return k, err
}

// ForeignKey reports whether a key below the root belongs to a producer that follows the older layout without a
// partition, queue/{cluster-id}/{timestamp}_…, and returns its cluster. Such a key is not a Key: its value is
// appended as an ordinary event, then it is removed. Every key of a queue outside the partitions' directories is
// foreign, since producers may have written host names unescaped, with slashes.
func ForeignKey(text string) (cluster string, foreign bool) {
	segments := strings.SplitN(text, "/", 3)
	if len(segments) != 3 || segments[0]+"/" != queueDir || segments[2] == "" {
		return "", false
	}
	directory, _, inside := strings.Cut(segments[2], "/")
	if _, err := ParsePartition(directory); inside && err == nil {
		return "", false
	}
	cluster, err := Unescape(segments[1])
	return cluster, err == nil && Escape(cluster) == segments[1]
}

// gpuPart returns the GPU part of the event's key: the only GPU, or the first and the last one.
func (e *Event) gpuPart() string {
	var names []string
	for i := range e.Identities {
		if name := cmp.Or(e.Identities[i].Index, string(e.Identities[i].gpuID(e.Host))); name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	first, last := slices.MinFunc(names, compareGPUs), slices.MaxFunc(names, compareGPUs)
	if first == last {
		return first
	}
	return first + "-" + last
}

// compareGPUs orders indices numerically, and before other names.
func compareGPUs(a, b string) int {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	switch {
	case errX == nil && errY == nil:
		return cmp.Or(cmp.Compare(x, y), strings.Compare(a, b))
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(a, b)
}

const upperHex = "0123456789ABCDEF"

// Escape returns text as one part of a key, with '_', '/', '%' and control bytes as %XX.
func Escape(text string) string {
	if !strings.ContainsFunc(text, needsEscape) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; needsEscape(rune(c)) {
			b.Write([]byte{'%', upperHex[c>>4], upperHex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func needsEscape(c rune) bool { return c < 0x20 || c == 0x7f || c == '_' || c == '/' || c == '%' }

// Unescape returns the text of an escaped part. It rejects parts that Escape would have written differently.
func Unescape(part string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		c := part[i]
		if c == '%' {
			if i+2 >= len(part) {
				return "", fmt.Errorf("%.100q ends within an escape", part)
			}
			hi, lo := strings.IndexByte(upperHex, part[i+1]), strings.IndexByte(upperHex, part[i+2])
			if hi < 0 || lo < 0 || !needsEscape(rune(hi<<4|lo)) {
				return "", fmt.Errorf("%.100q has an unknown escape", part)
			}
			c, i = byte(hi<<4|lo), i+2
		} else if needsEscape(rune(c)) {
			return "", fmt.Errorf("%.100q has a byte that must be escaped", part)
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}
