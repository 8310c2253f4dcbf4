package snapshot

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

// newEntry returns an entry of an event of a partition.
func (f *fixture) newEntry(p events.Partition, number int64, host events.HostID) Quarantined {
	key := fmt.Sprintf("%s%s/%d_%s", f.cfg.Prefix("queue"), p, number, events.Escape(string(host)))
	at := time.Date(2025, 7, 18, 20, 42, 34, 5, time.UTC)
	return Quarantined{
		ID: EntryIDOf(key, f.revisionAt(number)), Partition: p, Key: key, Revision: f.revisionAt(number), Host: host, Reason: "undecodable",
		Text: "it is \"garbage\"", Upload: "upload-1", At: at, Version: 3, Attempts: 2, TriedAt: at.Add(time.Hour), TriedVersion: 4,
	}
}

func collectAll(t *testing.T, seq iter.Seq2[Quarantined, error]) (all []Quarantined) {
	t.Helper()
	for q, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, q)
	}
	return all
}

func TestAnEntryIsWrittenWithTheOffsetThatPassesItsEvent(t *testing.T) {
	f := newFixture(t)
	old := f.claimPartition(0)
	c := f.foldEvents(9, eventstest.Event(hostsOf(0, 1)[0], 1))
	want := []Quarantined{f.newEntry(0, 7, "h_1"), f.newEntry(0, 8, "")}
	c.Quarantine = []Quarantined{want[1], want[0]}

	current := f.claimPartition(0)
	before := f.dumpKeys()
	if err := f.Save(t.Context(), generation, 0, c, old); !errors.Is(err, ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
	if d := diffOf(f.dumpKeys(), before); d != "" {
		t.Errorf("a fenced owner wrote (-before +after):\n%s", d)
	}
	f.saveCommit(0, c, current)
	if d := diffOf(collectAll(t, f.Quarantined(t.Context(), generation, 0)), want); d != "" {
		t.Errorf("the quarantine differs (-want +got):\n%s", d)
	}
	all := f.dumpKeys()
	offset, entry := all[f.keys.offsetKey(generation, 0)], all[f.keys.entryKey(generation, 0, want[0].ID)]
	if entry != offset {
		t.Errorf("the entry is of revision %d, the offset of %d; want one transaction", entry, offset)
	}
	f.saveCommit(0, c, current) // a repeat is the same entry
	if got := collectAll(t, f.Quarantined(t.Context(), generation, 0)); len(got) != 2 {
		t.Errorf("%d entries after a repeat, want 2", len(got))
	}
	if got := collectAll(t, f.Quarantined(t.Context(), generation, 1)); len(got) != 0 {
		t.Errorf("got %v of another partition, want nothing", got)
	}
}

// In a commit of any size, entries come before the offset, and are removed after the fold is stored.
func TestABigCommitKeepsTheOrderOfQuarantineAndOffsets(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(2)
	f.saveCommit(2, Commit{Quarantine: []Quarantined{f.newEntry(2, 5, "h")}}, guard)
	settled := f.newEntry(2, 5, "h").ID
	var evs []events.Event
	for i, h := range hostsOf(2, 20) {
		evs = append(evs, eventstest.BigEvent(h, i, 9000), eventstest.BigEvent(h, 100+i, 9000))
	}
	c := f.foldEvents(700, evs...)
	for i := range int64(200) {
		c.Quarantine = append(c.Quarantine, f.newEntry(2, 100+i, "h"))
	}
	c.Resolved = []EntryID{settled}
	before, err := f.client.Get(t.Context(), f.cfg.Root)
	if err != nil {
		t.Fatal(err)
	}
	f.saveCommit(2, c, guard)
	changed := map[string][]int64{}
	resp := f.client.Watch(timeoutContext(t, time.Minute), f.cfg.Root+"/", clientv3.WithPrefix(), clientv3.WithRev(before.Header.Revision+1))
	for r := range resp {
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
		for _, ev := range r.Events {
			kind := strings.Split(strings.TrimPrefix(string(ev.Kv.Key), f.cfg.Root+"/"), "/")[0]
			switch {
			case ev.Type == clientv3.EventTypeDelete:
				kind = "end"
			case kind == "offsets" && !strings.Contains(string(ev.Kv.Value), `"live":700`): // each transaction writes it
				kind = "links"
			case string(ev.Kv.Key) == f.keys.entryKey(generation, 2, settled):
				continue
			}
			changed[kind] = append(changed[kind], ev.Kv.ModRevision)
		}
		if len(changed["offsets"]) > 0 {
			break
		}
	}
	end := changed["end"][0]
	if last := slices.Max(changed["projections"]); last > end {
		t.Errorf("the entry ended at revision %d, its fold was written until %d", end, last)
	}
	if last := slices.Max(changed["quarantine"]); last > changed["offsets"][0] || end > changed["offsets"][0] {
		t.Errorf("the offset was written at revision %d, entries until %d", changed["offsets"][0], max(last, end))
	}
	if got := collectAll(t, f.Quarantined(t.Context(), generation, 2)); len(got) != 200 {
		t.Errorf("%d entries, want 200 in pages", len(got))
	}
}

func TestARetryIsAskedForOnceAnsweredAndAskedForAgain(t *testing.T) {
	f := newFixture(t)
	f.activateGeneration(generation)
	guard := f.claimPartition(1)
	entries := []Quarantined{f.newEntry(1, 5, "h"), f.newEntry(1, 6, "i")}
	f.saveCommit(1, Commit{Quarantine: entries}, guard)
	given := make(chan []RetryRequest)
	ctx := timeoutContext(t, time.Minute)
	go func() {
		for requests, err := range f.WatchRetries(ctx, 1) {
			if err != nil {
				return
			}
			given <- requests
		}
	}()
	ask := func(filter RetryFilter, want int) {
		t.Helper()
		if n, err := f.RequestRetry(t.Context(), filter); n != want || err != nil {
			t.Errorf("asking for %+v: %d entries (%v), want %d", filter, n, err, want)
		}
	}
	next := func(want EntryID) RetryRequest {
		t.Helper()
		select {
		case requests := <-given:
			if len(requests) != 1 || requests[0].Entry != want {
				t.Fatalf("got requests %v, want one of %v", requests, want)
			}
			return requests[0]
		case <-ctx.Done():
			t.Fatal("no request")
			return RetryRequest{}
		}
	}
	ask(RetryFilter{Event: entries[1].Key}, 1)
	first := next(entries[1].ID)
	ask(RetryFilter{Event: entries[1].Key}, 1)
	second := next(entries[1].ID)
	f.saveCommit(1, Commit{Retried: []RetryRequest{first}}, guard) // a request that was repeated meanwhile stays
	if list, _, err := f.QuarantineList(t.Context(), QuarantineFilter{Limit: 9}); err != nil || !list[0].RetryRequested || list[1].RetryRequested {
		t.Errorf("got %+v (%v), want the newer one asked for", list, err)
	}
	f.saveCommit(1, Commit{Retried: []RetryRequest{second}, Resolved: []EntryID{entries[1].ID}}, guard)
	ask(RetryFilter{HasPartition: true, Partition: 1}, 1)
	all := next(EntryID{})
	if !all.All() {
		t.Errorf("request %v is not for all", all)
	}
	f.saveCommit(1, Commit{Retried: []RetryRequest{all}}, guard)
	ask(RetryFilter{}, 1)
	next(EntryID{})
	ask(RetryFilter{HasPartition: true, Partition: 3}, 0)
	for _, filter := range []RetryFilter{
		{Event: entries[1].Key}, {Event: "nonsense"}, {Event: entries[0].Key, HasPartition: true, Partition: 2},
	} {
		if _, err := f.RequestRetry(t.Context(), filter); !errors.Is(err, ErrNoEntry) {
			t.Errorf("asking for %+v: %v, want ErrNoEntry", filter, err)
		}
	}
	if n, err := f.QuarantineCount(t.Context()); n != 1 || err != nil {
		t.Errorf("%d entries (%v), want 1: requests do not count", n, err)
	}
}

func TestTheListIsNewestFirstAndBounded(t *testing.T) {
	f := newFixture(t)
	f.activateGeneration(generation)
	for p := range events.Partition(partitions) {
		guard := f.claimPartition(p)
		for i := range int64(50) {
			f.saveCommit(p, Commit{Quarantine: []Quarantined{f.newEntry(p, 4*i+int64(p)+1, events.HostID(fmt.Sprint("h", i%5)))}}, guard)
		}
	}
	list := func(filter QuarantineFilter) []Quarantined {
		t.Helper()
		list, total, err := f.QuarantineList(t.Context(), filter)
		want := 50 * partitions
		if filter.HasPartition {
			want = 50
		}
		if err != nil || total != want {
			t.Fatalf("%d in all (%v), want %d", total, err, want)
		}
		if !slices.IsSortedFunc(list, func(a, b Quarantined) int { return int(b.ID.Revision - a.ID.Revision) }) {
			t.Errorf("%+v is not sorted", filter)
		}
		return list
	}
	if got := list(QuarantineFilter{Limit: 1000}); len(got) != 200 || got[0].ID.Revision != 200 {
		t.Errorf("%d entries, want 200", len(got))
	}
	if got := list(QuarantineFilter{Limit: 7, HasPartition: true, Partition: 2}); len(got) != 7 || got[0].ID.Revision != 199 || got[6].ID.Revision != 175 {
		t.Errorf("got %+v, want the newest 7 of partition 2", got)
	}
	if got := list(QuarantineFilter{Limit: 1000, Hosts: []events.HostID{"h3", "h4"}}); len(got) != 80 || got[0].Host != "h4" {
		t.Errorf("%d entries of two hosts, want 80", len(got))
	}
	if got := list(QuarantineFilter{Limit: 3, Hosts: []events.HostID{"h3"}}); len(got) != 3 {
		t.Errorf("%d entries, want 3", len(got))
	}
}

// Every event fits into an entry, and an entry with a damaged value is still an entry.
func TestEntriesBearAnything(t *testing.T) {
	f := newFixture(t)
	guard := f.claimPartition(0)
	f.activateGeneration(generation)
	q := f.newEntry(0, 5, events.HostID(strings.Repeat("\x00\xff", 1<<20)))
	q.Key, q.Text = strings.Repeat("\xff/_", 1<<19), strings.Repeat("\x01", 1<<20)
	q.ID = EntryIDOf(q.Key, q.Revision)
	f.saveCommit(0, Commit{Quarantine: []Quarantined{q}, Offsets: &projections.Offsets{Live: f.revisionAt(5), Series: f.revisionAt(5)}}, guard)
	if got := collectAll(t, f.Quarantined(t.Context(), generation, 0)); len(got) != 1 || got[0].ID != q.ID || len(got[0].Key) > 4*maxEntryKey {
		t.Errorf("got %d entries, want the one, cut", len(got))
	}
	for key, value := range map[string]string{
		f.keys.entryKey(generation, 0, q.ID): "not JSON", f.keys.partitionEntriesPrefix(generation, 0) + "nonsense": "{}", f.keys.retryPrefix(0) + "nonsense": "{}",
	} {
		if _, err := f.client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	got := collectAll(t, f.Quarantined(t.Context(), generation, 0))
	if len(got) != 1 || got[0].ID != q.ID || got[0].Revision != f.revisionAt(5) || got[0].Text == "" {
		t.Errorf("got %+v, want what the key says", got)
	}
	if list, _, err := f.QuarantineList(t.Context(), QuarantineFilter{Limit: 10}); err != nil || len(list) != 1 {
		t.Errorf("listed %+v (%v), want the one", list, err)
	}
	if _, err := f.RequestRetry(t.Context(), RetryFilter{}); err != nil {
		t.Error(err)
	}
	for requests, err := range f.WatchRetries(timeoutContext(t, time.Minute), 0) {
		if err != nil || len(requests) != 1 || !requests[0].All() {
			t.Errorf("got %v (%v), want the request for all", requests, err)
		}
		break
	}
}

func TestNamesOfEntriesAreReadBack(t *testing.T) {
	for _, number := range []int64{0, 1, 1 << 40, 1<<63 - 1} {
		id := EntryIDOf("some/key", events.Revision{Number: number})
		if back, err := parseEntryID(id.String()); err != nil || back != id {
			t.Errorf("%q: got %v (%v)", id, back, err)
		}
	}
	for _, name := range []string{"", "all", EntryID{}.String()[1:], strings.ToUpper(EntryIDOf("a", events.Revision{}).String()), strings.Repeat("-", 52)} {
		if id, err := parseEntryID(name); err == nil {
			t.Errorf("%q is taken for %v", name, id)
		}
	}
}

// A summary counts as all its events, is listed after the entries, and is asked for by the key of its first event.
func TestASummaryCountsAsItsEvents(t *testing.T) {
	f := newFixture(t)
	f.activateGeneration(generation)
	guard := f.claimPartition(1)
	summary := f.newEntry(1, 20, "")
	summary.ID, summary.Events, summary.Records = SummaryID(summary.Reason), 70, 9000
	summary.LastKey, summary.LastRevision = "last", f.revisionAt(300)
	entries := []Quarantined{f.newEntry(1, 5, "h1"), summary}
	f.saveCommit(1, Commit{Quarantine: entries}, guard)
	f.saveCommit(2, Commit{Quarantine: []Quarantined{f.newEntry(2, 6, "h2")}}, f.claimPartition(2))

	if n, err := f.QuarantineCount(t.Context()); n != 72 || err != nil {
		t.Errorf("%d events (%v), want 72", n, err)
	}
	list, total, err := f.QuarantineList(t.Context(), QuarantineFilter{Limit: 10})
	if err != nil || total != 72 || len(list) != 3 {
		t.Fatalf("%d entries of %d events (%v), want 3 of 72", len(list), total, err)
	}
	last := list[2]
	if !last.ID.IsSummary() || last.Events != 70 || last.Records != 9000 || last.LastKey != "last" || last.LastRevision.Number != 300 || last.Revision.Number != 20 {
		t.Errorf("got %+v, want the summary", last)
	}
	if _, total, err = f.QuarantineList(t.Context(), QuarantineFilter{Limit: 10, HasPartition: true, Partition: 2}); total != 1 || err != nil {
		t.Errorf("partition 2 has %d events (%v), want 1", total, err)
	}
	for want, filter := range map[int]RetryFilter{
		72: {}, 71: {Partition: 1, HasPartition: true}, 70: {Event: summary.Key}, 1: {Event: entries[0].Key},
	} {
		if n, err := f.RequestRetry(t.Context(), filter); n != want || err != nil {
			t.Errorf("retry of %+v: %d events (%v), want %d", filter, n, err, want)
		}
	}
	f.saveCommit(1, Commit{Resolved: []EntryID{summary.ID}}, guard)
	if n, err := f.QuarantineCount(t.Context()); n != 2 || err != nil {
		t.Errorf("%d events (%v), want 2", n, err)
	}
}

// The entries of an upload's events are found by its id, also of its other files, and events that it had in common with
// an earlier upload by their own.
func TestTheQuarantinedEventsOfAnUpload(t *testing.T) {
	f := newFixture(t)
	f.activateGeneration(generation)
	entry := func(p events.Partition, number int64, upload events.UploadID) Quarantined {
		q := f.newEntry(p, number, "h")
		q.Upload, q.Records = upload, 10
		return q
	}
	early, other, existing := entry(1, 5, "u"), entry(1, 12, "v"), entry(1, 13, "w")
	mine, second, far := entry(1, 11, "u"), entry(1, 14, "u-2"), entry(2, 30, "u")
	damaged := entry(1, 15, "u-3")
	damaged.Records = 0
	overwritten := entry(1, 90, "w")
	summary := func(first, last int64) Quarantined {
		q := f.newEntry(1, first, "")
		q.Reason, q.Events, q.LastRevision = fmt.Sprint("r", first), 4, f.revisionAt(last)
		q.ID = SummaryID(q.Reason)
		return q
	}
	before, within := summary(1, 9), summary(3, 10)
	f.saveCommit(1, Commit{Quarantine: []Quarantined{early, other, existing, mine, second, damaged, overwritten, before, within}}, f.claimPartition(1))
	f.saveCommit(2, Commit{Quarantine: []Quarantined{far}}, f.claimPartition(2))

	filter := UploadFilter{
		ID: "u", Spans: map[events.Partition][2]int64{0: {1, 100}, 1: {10, 20}, 2: {30, 30}}, Existing: map[[16]byte]bool{existing.ID.Event: true, overwritten.ID.Event: true}, Shown: 4,
	}
	got, err := f.QuarantinedOf(t.Context(), filter)
	if err != nil || got.Events != 6 || got.Records != 50 || len(got.Shown) != 4 || len(got.Summaries) != 1 {
		t.Fatalf("got %+v (%v), want 6 events with 50 records, and a summary", got, err)
	}
	for i, want := range []Quarantined{mine, existing, second, damaged} {
		if got.Shown[i].ID != want.ID {
			t.Errorf("entry %d is of revision %d, want %d", i, got.Shown[i].ID.Revision, want.ID.Revision)
		}
	}
	if got.Summaries[0].ID != within.ID {
		t.Errorf("the summary is of %q, want %q", got.Summaries[0].Reason, within.Reason)
	}
	if got, err := f.QuarantinedOf(t.Context(), UploadFilter{ID: "u", Spans: map[events.Partition][2]int64{3: {1, 100}}}); err != nil || got.Events != 0 {
		t.Errorf("got %+v (%v) of a partition without entries", got, err)
	}
}

// Entries of hosts that are not visible, and entries without a host, are as if they were not there.
func TestInvisibleEntriesAreAbsent(t *testing.T) {
	f := newFixture(t)
	f.activateGeneration(generation)
	summary := f.newEntry(1, 20, "")
	summary.ID, summary.Events = SummaryID(summary.Reason), 70
	mine, foreign, second := f.newEntry(1, 5, "h1"), f.newEntry(1, 6, "g1"), f.newEntry(2, 7, "h2")
	f.saveCommit(1, Commit{Quarantine: []Quarantined{mine, foreign, summary, f.newEntry(1, 8, "")}}, f.claimPartition(1))
	f.saveCommit(2, Commit{Quarantine: []Quarantined{second, f.newEntry(2, 9, "g2")}}, f.claimPartition(2))
	visible := func(host events.HostID) bool { return strings.HasPrefix(string(host), "h") || host == "" }

	for _, limit := range []int{1, 10} {
		list, total, err := f.QuarantineList(t.Context(), QuarantineFilter{Limit: limit, Visible: visible})
		if err != nil || total != 2 || len(list) != min(limit, 2) {
			t.Errorf("limit %d: %d entries of %d events (%v), want 2 events", limit, len(list), total, err)
		}
		for _, q := range list {
			if q.Host != "h1" && q.Host != "h2" {
				t.Errorf("an entry of %q is listed", q.Host)
			}
		}
	}
	for _, key := range []string{foreign.Key, summary.Key, "none"} {
		if n, err := f.RequestRetry(t.Context(), RetryFilter{Event: key, Visible: visible}); n != 0 || !errors.Is(err, ErrNoEntry) {
			t.Errorf("retry of %q: %d (%v), want ErrNoEntry", key, n, err)
		}
	}
	if n, err := f.RequestRetry(t.Context(), RetryFilter{Visible: visible}); n != 2 || err != nil {
		t.Errorf("retry of all: %d (%v), want 2", n, err)
	}
	list, _, err := f.QuarantineList(t.Context(), QuarantineFilter{Limit: 10})
	if err != nil || len(list) != 6 {
		t.Fatalf("%d entries (%v)", len(list), err)
	}
	for _, q := range list {
		if q.RetryRequested != (q.Host == "h1" || q.Host == "h2") {
			t.Errorf("retry of the entry of host %q is requested: %v", q.Host, q.RetryRequested)
		}
	}
}
