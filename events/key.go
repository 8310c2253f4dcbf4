package events

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Key is what the key of an event says. Below the root it reads
//
//	queue/{cluster-id}/{partition}/{timestamp}_{hostname}_{gpu_id}_{sequence}
//
// This file alone knows these bytes. Within a partition, key order is order of At, then Host.
type Key struct {
	Cluster   string
	Partition Partition
	At        Timestamp // the event's first record time
	Host      HostID
	GPU       string // the index of the event's only GPU, else its GPUID; first-last of several; "" of none
	Sequence  ContentHash
}

const (
	queueDir = "queue/"
	keyTime  = "20060102T150405.000000000Z" // fixed width, UTC
)

// EventKey gives the key of an event in a cluster's log of that many partitions.
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

// QueuePrefix is what the keys of all events of a cluster start with, foreign ones too.
func QueuePrefix(cluster string) string { return queueDir + Escape(cluster) + "/" }

// PartitionPrefix is what the keys of a partition's events start with.
func PartitionPrefix(cluster string, p Partition) string {
	return QueuePrefix(cluster) + p.String() + "/"
}

// String is the key below the root; ParseKey undoes it.
func (k Key) String() string {
	return PartitionPrefix(k.Cluster, k.Partition) + strings.Join([]string{
		k.At.Time().Format(keyTime),
		Escape(string(k.Host)),
		Escape(k.GPU),
		k.Sequence.String(),
	}, "_")
}

// ParseKey reads what String wrote, and nothing else: two texts never are one Key.
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
	k.Sequence, err = ParseSequence(parts[3])
	return k, err
}

// ForeignKey tells whether a key below the root is of a producer that follows the older layout without a
// partition, queue/{cluster-id}/{timestamp}_…, and of which cluster. Such a key is no Key: what it holds
// is appended as an ordinary event, then it is removed. Every key of a queue is foreign that is in no partition's
// directory, since names of hosts may have been put there as they are, slashes included.
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

// gpuPart names the GPUs of an event: the only one, or the first and the last.
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

// compareGPUs orders indices as numbers, and before other names.
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

// Escape writes a text as one part of a key: '_', '/', '%' and control bytes as %XX. Unescape undoes it.
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

// Unescape undoes Escape. It refuses what Escape would have written otherwise.
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
