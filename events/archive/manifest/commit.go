package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/etcd"
)

var (
	// ErrFenced refuses a change whose guards did not hold: the writer has lost its claim and must stop.
	ErrFenced = errors.New("changing the archive's manifest: claim lost")
	// ErrChanged refuses a change to entries that another writer has changed since they were read. Load the partition again.
	ErrChanged = errors.New("changing the archive's manifest: it is not as it was read; load it again")
)

// MaxReplaced bounds the entries that one Replace or Drop removes, so that it fits into one transaction of etcd.
const MaxReplaced = 50

// Add lists an entry, whose range follows the head, and moves the head to its end, if the stored head equals p's and guards
// hold. It updates p.
func (m *Manifest) Add(ctx context.Context, p *Partition, e archive.Entry, guards ...clientv3.Cmp) error {
	if e.Partition != p.ID || e.First.Number != p.Head.At.Number+1 || !e.Last.SameLog(m.revisionOf(1)) {
		return fmt.Errorf("listing revisions %d to %d of partition %d: they do not follow revision %d of partition %d",
			e.First.Number, e.Last.Number, e.Partition, p.Head.At.Number, p.ID)
	}
	head := p.Head
	head.At, head.Events, head.Records = e.Last, head.Events+e.Events, head.Records+e.Records
	rev, err := m.commitChange(ctx, transaction{
		guards: guards, compares: []clientv3.Cmp{m.headIs(p)},
		then: []clientv3.Op{clientv3.OpPut(m.keys.entry(&e), packEntry(&e)), clientv3.OpPut(m.keys.head(p.ID), packHead(head))},
		key:  m.keys.entry(&e), value: packEntry(&e),
	})
	if err != nil {
		return fmt.Errorf("listing revisions %d to %d of partition %d: %w", e.First.Number, e.Last.Number, p.ID, err)
	}
	p.Head, p.headRevision = head, rev
	p.Entries = append(slices.Clip(p.Entries), Listed{e, rev})
	return nil
}

// Replace lists e in the place of the entries from..to-1 of p, which cover the same range, if the stored entries equal p's
// and guards hold. It records their objects that e does not list as replaced, and updates p.
func (m *Manifest) Replace(ctx context.Context, p *Partition, from, to int, e archive.Entry, guards ...clientv3.Cmp) error {
	if from < 0 || to > len(p.Entries) || from >= to || to-from > MaxReplaced {
		return fmt.Errorf("replacing entries %d to %d of %d: at least one, at most %d at a time", from, to, len(p.Entries), MaxReplaced)
	}
	old := p.Entries[from:to]
	if e.Partition != p.ID || e.First.Number != old[0].First.Number || e.Last.Number != old[len(old)-1].Last.Number {
		return fmt.Errorf("replacing revisions %d to %d of partition %d by another range", old[0].First.Number, old[len(old)-1].Last.Number, p.ID)
	}
	c := transaction{guards: guards, key: m.keys.entry(&e), value: packEntry(&e)}
	for i := range old {
		key := m.keys.entry(&old[i].Entry)
		c.compares = append(c.compares, keyUnchanged(key, old[i].revision))
		if key != c.key {
			c.then = append(c.then, clientv3.OpDelete(key))
		}
	}
	c.then = append(c.then, clientv3.OpPut(c.key, c.value))
	left := m.replacedBy(&e, old)
	rev, err := m.commitChange(ctx, c.withReplaced(left))
	if err != nil {
		return fmt.Errorf("replacing %d entries of partition %d by one of revisions %d to %d: %w", len(old), p.ID, e.First.Number, e.Last.Number, err)
	}
	p.Entries = slices.Concat(p.Entries[:from], []Listed{{e, rev}}, p.Entries[to:])
	p.addReplaced(left, rev)
	return nil
}

// Drop removes the first n entries of p, if the stored head equals p's and guards hold, and records their objects as
// replaced: their events are past the archive's retention. It updates p.
func (m *Manifest) Drop(ctx context.Context, p *Partition, n int, guards ...clientv3.Cmp) error {
	if n < 1 || n > len(p.Entries) || n > MaxReplaced {
		return fmt.Errorf("dropping %d entries of %d: at least one, at most %d at a time", n, len(p.Entries), MaxReplaced)
	}
	old, head := p.Entries[:n], p.Head
	head.Since = m.revisionOf(old[n-1].Last.Number)
	c := transaction{guards: guards, compares: []clientv3.Cmp{m.headIs(p)}, key: m.keys.head(p.ID), value: packHead(head)}
	for i := range old {
		key := m.keys.entry(&old[i].Entry)
		c.compares = append(c.compares, keyUnchanged(key, old[i].revision))
		c.then = append(c.then, clientv3.OpDelete(key))
	}
	c.then = append(c.then, clientv3.OpPut(c.key, c.value))
	left := m.replacedBy(&archive.Entry{Partition: p.ID, First: old[0].First, Last: old[n-1].Last}, old)
	rev, err := m.commitChange(ctx, c.withReplaced(left))
	if err != nil {
		return fmt.Errorf("dropping %d entries of partition %d: %w", n, p.ID, err)
	}
	p.Head, p.headRevision = head, rev
	p.Entries = slices.Clone(p.Entries[n:])
	p.addReplaced(left, rev)
	return nil
}

// DeleteReplaced deletes the record of replaced objects, once they are removed. It updates p.
func (m *Manifest) DeleteReplaced(ctx context.Context, p *Partition, r Replaced, guards ...clientv3.Cmp) error {
	resp, err := etcd.Write(ctx, func(ctx context.Context, _ bool) (*clientv3.TxnResponse, error) {
		return m.kv.Txn(ctx).If(guards...).Then(clientv3.OpDelete(r.key)).Commit()
	})
	if err != nil {
		return fmt.Errorf("forgetting replaced objects of partition %d: %w", p.ID, err)
	}
	if !resp.Succeeded {
		return ErrFenced
	}
	p.Replaced = slices.DeleteFunc(slices.Clone(p.Replaced), func(other Replaced) bool { return other.key == r.key })
	return nil
}

// replacedBy returns the objects of old entries that e does not list.
func (m *Manifest) replacedBy(e *archive.Entry, old []Listed) Replaced {
	kept := map[string]bool{}
	for _, o := range e.Objects {
		kept[o.Name] = true
	}
	r := Replaced{At: time.Now().UTC()}
	for i := range old {
		for _, o := range old[i].Objects {
			if !kept[o.Name] {
				r.Objects = append(r.Objects, o.Name)
			}
		}
	}
	r.key = m.keys.replaced(e, r.Objects)
	return r
}

func (p *Partition) addReplaced(r Replaced, rev int64) {
	if len(r.Objects) > 0 {
		r.revision = rev
		p.Replaced = append(slices.Clip(p.Replaced), r)
		slices.SortFunc(p.Replaced, func(a, b Replaced) int { return strings.Compare(a.key, b.key) })
	}
}

func (m *Manifest) headIs(p *Partition) clientv3.Cmp {
	return keyUnchanged(m.keys.head(p.ID), p.headRevision)
}

func keyUnchanged(key string, revision int64) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(key), "=", revision)
}

func packEntry(e *archive.Entry) string { return packJSON(e) }

func packJSON(v any) string {
	value, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and times of this age always have a form
	}
	return string(value)
}

// transaction is a transaction that compares everything it replaces. It is applied at most once, however often it is sent,
// because its compares do not hold after it. If key has value, which it writes, an earlier attempt was applied.
type transaction struct {
	guards, compares []clientv3.Cmp
	then             []clientv3.Op
	key, value       string
}

// withReplaced returns c with a put that records replaced objects.
func (c transaction) withReplaced(r Replaced) transaction {
	if len(r.Objects) > 0 {
		c.then = append(c.then, clientv3.OpPut(r.key, packJSON(replacedValue{r.Objects, r.At})))
	}
	return c
}

// commitChange commits a transaction and returns its revision.
func (m *Manifest) commitChange(ctx context.Context, c transaction) (int64, error) {
	compares := slices.Concat(c.guards, c.compares)
	resp, err := etcd.Write(ctx, func(ctx context.Context, _ bool) (*clientv3.TxnResponse, error) {
		return m.kv.Txn(ctx).If(compares...).Then(c.then...).Else(clientv3.OpTxn(c.guards, nil, nil), clientv3.OpGet(c.key)).Commit()
	})
	if err != nil {
		return 0, err
	}
	if resp.Succeeded {
		return resp.Header.Revision, nil
	}
	kvs := resp.Responses[1].GetResponseRange().Kvs
	switch {
	case len(kvs) == 1 && string(kvs[0].Value) == c.value:
		return kvs[0].ModRevision, nil
	case !resp.Responses[0].GetResponseTxn().Succeeded:
		return 0, ErrFenced
	}
	return 0, ErrChanged
}
