package main

import (
	"strings"

	"telemetry-pipeline/events"
)

const root = "/telemetry/"

// keyKind is the purpose of a key.
type keyKind string

const (
	queueKey    keyKind = "queue"
	ownerKey    keyKind = "owners"
	memberKey   keyKind = "members"
	offsetKey   keyKind = "offsets"
	liveKey     keyKind = "live"
	identityKey keyKind = "identity"
	seriesKey   keyKind = "series"
	otherKey    keyKind = "other"
)

// projects reports whether only the owner of a partition may write a key.
func (k keyKind) projects() bool {
	return k == offsetKey || k == liveKey || k == identityKey || k == seriesKey
}

// parseKey takes a key apart: its kind, its partition where it has one, and its last segment.
func parseKey(key string) (kind keyKind, p events.Partition, last string) {
	rest, ours := strings.CutPrefix(key, root)
	parts := strings.Split(rest, "/")
	if !ours || len(parts) < 3 {
		return otherKey, 0, ""
	}
	last = parts[len(parts)-1]
	at := -1
	switch parts[0] {
	case "queue":
		kind, at = queueKey, 2
	case "members":
		return memberKey, 0, last
	case "owners":
		kind, at = ownerKey, 3
	case "offsets":
		kind, at = offsetKey, 3
	case "projections":
		if len(parts) < 6 {
			return otherKey, 0, ""
		}
		kind, at = keyKind(parts[3]), 4
	}
	if at < 0 || at >= len(parts) {
		return otherKey, 0, ""
	}
	p, err := events.ParsePartition(parts[at])
	if err != nil {
		return otherKey, 0, ""
	}
	return kind, p, last
}
