package main

import (
	"testing"

	"telemetry-pipeline/events"
)

func claim(rev int64) ownerChange {
	return ownerChange{seenAt: seenAt{rev: rev}, partition: 3, token: rev}
}
func endOf(rev int64) ownerChange { return ownerChange{seenAt: seenAt{rev: rev}, partition: 3} }
func write(rev int64) written     { return written{seenAt: seenAt{rev: rev}, partition: 3, kind: liveKey} }

func saved(writer string, token, rev int64) save {
	return save{writer: writer, partition: 3, token: token, answered: true, accepted: true, rev: rev}
}

func TestOwnersAreHeldToOneAtATime(t *testing.T) {
	expect(t, checkOwners([]ownerChange{claim(5), endOf(8), claim(9)}), "")
	expect(t, checkOwners([]ownerChange{claim(5), claim(9)}), "claimed at revision 9 while token 5 held it")
	older := claim(9)
	older.token = 4
	expect(t, checkOwners([]ownerChange{claim(5), endOf(8), older}), "token 4 at revision 9 came after token 5")
}

func TestWritesNeedAnOwner(t *testing.T) {
	owners := []ownerChange{claim(5), endOf(8), claim(11)}
	expect(t, checkOwned(owners, []written{write(6), write(7), write(12)}), "")
	expect(t, checkOwned(owners, []written{write(4)}), "written at revision 4, which nobody owned")
	expect(t, checkOwned(owners, []written{write(6), write(9)}), "written at revision 9, which nobody owned")
}

func TestAZombiesWriteIsNoticed(t *testing.T) {
	owners := []ownerChange{claim(5), endOf(8), claim(9)}
	refused := saved("collectd-0", 5, 12)
	refused.accepted = false
	unseen := save{writer: "collectd-0", partition: 3, token: 5}
	expect(t, checkFencing(owners, []save{unseen, saved("collectd-0", 5, 6), saved("collectd-1", 9, 11), refused}), "")
	expect(t, checkFencing(owners, []save{saved("collectd-1", 9, 11), saved("collectd-0", 5, 12)}), "under token 5 was accepted at revision 12, when token 9 held it")
	expect(t, checkFencing(nil, []save{saved("a", 9, 11), saved("b", 5, 12)}), "after one under 9")
	expect(t, checkFencing(owners, []save{saved("collectd-0", 0, 6)}), "carried no guard")
	mixed := saved("collectd-0", 5, 6)
	mixed.mixed = true
	expect(t, checkFencing(owners, []save{mixed}), "carried no guard for all of its keys")
	expect(t, checkFencing(owners, []save{{writer: "collectd-0", partition: 3}}), "carried no guard")
	if v := checkFencing(owners, nil); v.ok() {
		t.Error("fencing held though nothing was seen")
	}
}

func TestOffsetsThatGoBackAreNoticed(t *testing.T) {
	offset := func(rev, live, series int64) written {
		return written{seenAt: seenAt{rev: rev}, partition: 3, kind: offsetKey, live: live, series: series}
	}
	expect(t, checkOffsets([]written{offset(10, 9, 7), offset(11, 9, 9)}), "")
	expect(t, checkOffsets([]written{offset(10, 9, 9), offset(11, 8, 9)}), "from live 9, series 9 to 8, 9")
	expect(t, checkOffsets([]written{offset(10, 9, 9), offset(11, 9, 8)}), "from live 9, series 9 to 9, 8")
	expect(t, checkOffsets([]written{offset(10, 12, 9)}), "says at revision 10")

	event := appended{seenAt: seenAt{rev: 9}, partition: 3, key: "k"}
	expect(t, checkFolded([]written{offset(10, 9, 9)}, []appended{event}), "")
	expect(t, checkFolded([]written{offset(10, 9, 8)}, []appended{event}), "is folded to 8, its newest event is at 9")
	expect(t, checkFolded(nil, []appended{event}), "is folded to 0")
	if done, waiting := foldDelays([]written{offset(10, 9, 8), offset(11, 9, 9)}, []appended{event, {seenAt: seenAt{rev: 12}, partition: 3}}); len(done) != 1 || len(waiting) != 1 {
		t.Errorf("%d events folded, %d waiting, want one each", len(done), len(waiting))
	}
}

func TestALogThatChangesIsNoticed(t *testing.T) {
	a, b := appended{key: "a"}, appended{key: "b", again: true}
	expect(t, checkLog([]appended{a}, nil, []string{"a"}), "")
	expect(t, checkLog([]appended{a, b}, nil, []string{"a", "b"}), "event b was overwritten")
	expect(t, checkLog([]appended{a}, nil, []string{"a", "b"}), "event b is there and was never delivered")
	expect(t, checkLog([]appended{a}, nil, nil), "event a was delivered and is not there")
	expect(t, checkLog([]appended{a}, []string{"a"}, nil), "event a was deleted")
}

func TestReplayThatDiffersIsNoticed(t *testing.T) {
	want := models{"live of a": []byte{1, 2}}
	expect(t, checkReplay(want, models{"live of a": []byte{1, 2}}, nil), "")
	expect(t, checkReplay(want, models{"live of a": []byte{1, 3}}, nil), "differs")
	expect(t, checkReplay(want, models{}, nil), "is not stored")
	expect(t, checkReplay(want, models{"live of a": []byte{1, 2}, "live of b": nil}, nil), "the log does not give it")
	expect(t, checkReplay(want, want, []string{"garbage"}), "event cannot be used")
	expect(t, checkInLog(map[reading]bool{power: true}, map[reading]bool{power: true, temp: true}), "is in no event")
}

func TestFailoversAreMeasuredByPartition(t *testing.T) {
	at := func(rev, seconds int64) seenAt { return seenAt{rev, noon.Add(ms(int(1000 * seconds)))} }
	f := &injected{fault: fault{kind: "collectd killed", track: "collectd"}, begun: noon, healed: noon.Add(ms(9000)),
		partitions: map[events.Partition]int64{3: 5, 4: 5}}
	seen := observed{
		owners: []ownerChange{{at(5, -9), 3, 5, "a"}, {at(20, 5), 3, 0, ""}, {at(21, 5), 3, 21, "b"}},
		writes: []written{{seenAt: at(10, -1), partition: 3, kind: liveKey}, {seenAt: at(30, 6), partition: 3, kind: offsetKey, live: 15, series: 15}},
		log:    []appended{{seenAt: at(15, 2), partition: 3}},
	}
	got := listFailovers([]*injected{f}, &seen)
	if len(got) != 1 || got[0].claimed != ms(5000) || got[0].folded != ms(6000) || got[0].waited != ms(4000) || got[0].disturbed {
		t.Errorf("got %+v, want partition 3 claimed after 5s and folded after 6s, its event after 4s, undisturbed", got)
	}
	quiet := seen
	quiet.log = nil
	if got := listFailovers([]*injected{f}, &quiet); len(got) != 0 {
		t.Errorf("got %+v of a partition without events, want nothing", got)
	}
	other := &injected{fault: fault{kind: "etcd leader killed", track: "etcd"}, begun: noon.Add(ms(1000)), healed: noon.Add(ms(2000))}
	if got := listFailovers([]*injected{f, other}, &seen); len(got) != 1 || !got[0].disturbed {
		t.Errorf("got %+v, want it disturbed by the loss of the leader", got)
	}
}
