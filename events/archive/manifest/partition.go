package manifest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
)

// Head is how far a partition is archived.
type Head struct {
	At      events.Revision // every event up to here is in an entry, or was removed from the archive; zero: nothing is archived yet
	Since   events.Revision // entries up to here were removed, because they are past the retention
	Events  int64           // archived so far
	Records int64           // of those events
}

// Listed is an entry of the manifest.
type Listed struct {
	archive.Entry
	revision int64 // of etcd, when it was written
}

// Replaced lists objects that no entry lists any more, and that readers may still be reading.
type Replaced struct {
	Objects []string
	At      time.Time // when another entry took their place

	key      string
	revision int64
}

// Partition is the manifest of one partition, as of one revision of etcd.
type Partition struct {
	ID       events.Partition
	Head     Head
	Entries  []Listed   // in order of revisions
	Replaced []Replaced // objects to remove

	headRevision int64 // of the head's key; 0: no such key
}

// DamagedError reports a key of the manifest that cannot be read.
type DamagedError struct {
	Key string
	Err error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("manifest key %s: %v; restore it from a backup of etcd", e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// Overlapping returns the entries that can have records with from ≤ time < to, in order of revisions.
func (p *Partition) Overlapping(from, to events.Timestamp) []archive.Entry {
	var found []archive.Entry
	for i := range p.Entries {
		if e := &p.Entries[i].Entry; e.Records > 0 && e.From < to && e.To >= from {
			found = append(found, *e)
		}
	}
	return found
}

// headValue is the stored form of Head. Positions are revision numbers of the present log.
type headValue struct {
	At      string `json:"at"`
	Since   int64  `json:"since,omitempty"`
	Events  int64  `json:"events"`
	Records int64  `json:"records"`
}

type replacedValue struct {
	Objects []string  `json:"objects"`
	At      time.Time `json:"at"`
}

// unpackKey adds the contents of one key to a partition.
func (m *Manifest) unpackKey(p *Partition, rest string, kv *mvccpb.KeyValue) error {
	var err error
	switch {
	case rest == headName:
		p.headRevision = kv.ModRevision
		p.Head, err = m.unpackHead(kv.Value)
	case strings.HasPrefix(rest, replacedName):
		var v replacedValue
		err = events.DecodeStoredJSON(kv.Value, &v)
		p.Replaced = append(p.Replaced, Replaced{Objects: v.Objects, At: v.At, key: string(kv.Key), revision: kv.ModRevision})
	default:
		one := Listed{revision: kv.ModRevision}
		err = unpackEntry(&one.Entry, rest, p.ID, kv.Value)
		p.Entries = append(p.Entries, one)
	}
	if err != nil {
		return &DamagedError{string(kv.Key), err}
	}
	return nil
}

// checkComplete sorts the entries of a loaded partition and returns an error if they have gaps or do not end at the head.
func (m *Manifest) checkComplete(p *Partition) error {
	slices.SortFunc(p.Entries, func(a, b Listed) int { return cmp.Compare(a.First.Number, b.First.Number) })
	next := p.Head.Since.Number + 1
	for i := range p.Entries {
		e := &p.Entries[i]
		if e.First.Number != next {
			return &DamagedError{m.keys.entry(&e.Entry), fmt.Errorf("it begins at revision %d, and should at %d", e.First.Number, next)}
		}
		next = e.Last.Number + 1
	}
	if next-1 != p.Head.At.Number {
		return &DamagedError{m.keys.head(p.ID), fmt.Errorf("it ends at revision %d, and the entries end at %d", p.Head.At.Number, next-1)}
	}
	return nil
}

func unpackEntry(e *archive.Entry, name string, p events.Partition, value []byte) error {
	first, last, err := parseRange(name)
	if err == nil {
		err = json.Unmarshal(value, e)
	}
	if err == nil && (e.Partition != p || e.First.Number != first || e.Last.Number != last) {
		err = errors.New("the entry is of another partition or range than its key")
	}
	return err
}

func packHead(h Head) string {
	value, err := json.Marshal(headValue{At: h.At.String(), Since: h.Since.Number, Events: h.Events, Records: h.Records})
	if err != nil {
		panic(err) // strings and numbers always have a form
	}
	return string(value)
}

func (m *Manifest) unpackHead(value []byte) (Head, error) {
	var v headValue
	if err := events.DecodeStoredJSON(value, &v); err != nil {
		return Head{}, err
	}
	at, err := events.ParseRevision(v.At)
	if err != nil {
		return Head{}, err
	}
	return Head{At: m.revisionOf(at.Number), Since: m.revisionOf(v.Since), Events: v.Events, Records: v.Records}, nil
}

// revisionOf returns an etcd revision as a position in the present log.
func (m *Manifest) revisionOf(number int64) events.Revision {
	if number == 0 {
		return events.Revision{}
	}
	return events.Revision{Epoch: m.facts.Epoch, Cluster: m.facts.Cluster, Number: number}
}

// At returns the end of entry i, as a position in the present log.
func (p *Partition) At(i int) events.Revision {
	at := p.Head.At
	at.Number = p.Entries[i].Last.Number
	return at
}
