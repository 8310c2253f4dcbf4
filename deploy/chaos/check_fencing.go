package main

import (
	"telemetry-pipeline/events"
)

// ownersAt returns the owner of each partition at a revision; a negative one means at the end.
func ownersAt(changes []ownerChange, rev int64) map[events.Partition]ownerChange {
	owners := map[events.Partition]ownerChange{}
	for _, c := range changes {
		if rev >= 0 && c.rev > rev {
			break
		}
		if c.token == 0 {
			delete(owners, c.partition)
		} else {
			owners[c.partition] = c
		}
	}
	return owners
}

// checkOwners holds that a partition is claimed only while it has no owner, each time under a greater token.
func checkOwners(changes []ownerChange) verdict {
	v := verdict{promise: "a partition has one owner at a time, and tokens only grow", how: "every change of an owner key, in etcd's order"}
	now, last := map[events.Partition]int64{}, map[events.Partition]int64{}
	for _, c := range changes {
		p := c.partition
		if c.token == 0 {
			now[p] = 0
			continue
		}
		v.checked++
		if now[p] != 0 {
			v.addFailure("partition %d was claimed at revision %d while token %d held it", p, c.rev, now[p])
		}
		if c.token <= last[p] {
			v.addFailure("partition %d: token %d at revision %d came after token %d", p, c.token, c.rev, last[p])
		}
		now[p], last[p] = c.token, c.token
	}
	return v
}

// timeline returns the owner of every partition revision by revision, when it is asked in order.
type timeline struct {
	changes []ownerChange
	now     map[events.Partition]int64
}

func newTimeline(changes []ownerChange) *timeline {
	return &timeline{changes, map[events.Partition]int64{}}
}

// tokenAt returns the token that holds p at a revision, 0 when none does.
func (t *timeline) tokenAt(p events.Partition, rev int64) int64 {
	for len(t.changes) > 0 && t.changes[0].rev <= rev {
		t.now[t.changes[0].partition] = t.changes[0].token
		t.changes = t.changes[1:]
	}
	return t.now[p]
}

// checkOwned holds that nothing of a partition is written while it has no owner.
func checkOwned(changes []ownerChange, writes []written) verdict {
	v := verdict{promise: "projections and offsets are written only while their partition has an owner", how: "every write and every change of an owner key, in etcd's order"}
	owners := newTimeline(changes)
	for _, w := range writes {
		v.checked++
		if owners.tokenAt(w.partition, w.rev) == 0 {
			v.addFailure("partition %d: %s written at revision %d, which nobody owned", w.partition, w.kind, w.rev)
		}
	}
	return v
}

// checkFencing holds every transaction that etcd accepted against the owner of its partition at that revision. saves are in order of
// revision. A transaction whose answer was not seen (its connection broke) is judged by its question: whether it
// carried the guard.
func checkFencing(changes []ownerChange, saves []save) verdict {
	v := verdict{promise: "no write is accepted under an older token after a newer one", how: "each collector's transactions as they passed on the wire (guard and answer) against the owner key at the revision of the answer"}
	owners, newest := newTimeline(changes), map[events.Partition]int64{}
	for _, s := range saves {
		v.checked++
		if s.token == 0 || s.mixed {
			v.addFailure("%s: a write of partition %d carried no guard for all of its keys (revision %d)", s.writer, s.partition, s.rev)
		}
		if !s.answered || !s.accepted {
			continue
		}
		if now := owners.tokenAt(s.partition, s.rev); now != s.token {
			v.addFailure("%s: a write of partition %d under token %d was accepted at revision %d, when token %d held it", s.writer, s.partition, s.token, s.rev, now)
		}
		if s.token < newest[s.partition] {
			v.addFailure("%s: a write of partition %d under token %d was accepted at revision %d, after one under %d", s.writer, s.partition, s.token, s.rev, newest[s.partition])
		}
		newest[s.partition] = max(newest[s.partition], s.token)
	}
	return v
}

// countRefused counts the transactions that a compare refused.
func countRefused(saves []save) int {
	n := 0
	for _, s := range saves {
		if s.answered && !s.accepted {
			n++
		}
	}
	return n
}

// checkUnattributed counts the revisions that wrote projections and of which no answer was seen.
func checkUnattributed(writes []written, saves []save) int {
	known := map[int64]bool{}
	for _, s := range saves {
		if s.answered && s.accepted {
			known[s.rev] = true
		}
	}
	unknown := map[int64]bool{}
	for _, w := range writes {
		if !known[w.rev] {
			unknown[w.rev] = true
		}
	}
	return len(unknown)
}
