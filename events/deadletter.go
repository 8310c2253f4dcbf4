package events

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/zeebo/xxh3"
)

// tagDeadLetter begins a dead letter: a value that a foreign producer wrote and that cannot be used. It is a line of JSON
// with the value's former key and the reason, then the value itself, unchanged. It is text, so that a person gets the
// value back with tail -n +2.
const tagDeadLetter = '#'

// deadLetterLine is the first line of a dead letter.
type deadLetterLine struct {
	Key    string `json:"foreign_key"`
	Reason string `json:"reason"`
}

// DeadLetterError is the damage of an event that is a dead letter.
type DeadLetterError struct {
	Key    string // the key under which the producer wrote it
	Reason string
}

func (e *DeadLetterError) Error() string {
	return fmt.Sprintf("a foreign producer wrote it to %.300q, and it cannot be used: %s", e.Key, e.Reason)
}

// EncodeDeadLetter returns the dead letter of a value stored under key that cannot be used for the given reason.
func EncodeDeadLetter(key, reason string, value []byte) ([]byte, error) {
	line, err := json.Marshal(deadLetterLine{Key: key, Reason: reason})
	if err != nil {
		return nil, fmt.Errorf("encoding the dead letter of %.200q: %w", key, err)
	}
	letter := append([]byte{tagDeadLetter}, line...)
	letter = append(letter, '\n')
	return append(letter, value...), nil
}

// decodeDeadLetter returns the DeadLetterError stored in a dead letter.
func decodeDeadLetter(letter []byte) error {
	line, _, _ := bytes.Cut(letter[1:], []byte("\n"))
	var l deadLetterLine
	if err := json.Unmarshal(line, &l); err != nil {
		return fmt.Errorf("decoding a dead letter: %w", err)
	}
	return &DeadLetterError{Key: l.Key, Reason: l.Reason}
}

// DeadLetterKey returns the key of a dead letter, below the partition of host. It depends on the value and on name, its
// former key without the queue's prefix, alone. at and host may be zero.
func DeadLetterKey(cluster string, partitions int, name string, value []byte, at Timestamp, host HostID) Key {
	content := appendText(nil, name)
	content = binary.AppendUvarint(content, uint64(len(value)))
	content = append(content, value...)
	return Key{
		Cluster: cluster, Partition: PartitionOf(host, partitions), At: at, Host: host,
		Sequence: ContentHash(xxh3.Hash128(content).Bytes()),
	}
}
