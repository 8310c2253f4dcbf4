package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// fault is one entry of the schedule: the thing that happens, its target, its time and its duration.
type fault struct {
	at, lasts time.Duration
	stops     time.Duration // it takes before that until the target has stopped in order
	track     string        // faults of one track never overlap
	kind      string
	target    int // which of its kind; for members of etcd -1 is the leader
}

func (f fault) String() string {
	return fmt.Sprintf("%6.2fs %-22s target %2d for %4.1fs", f.at.Seconds(), f.kind, f.target, f.lasts.Seconds())
}

func (f fault) endTime() time.Duration { return f.at + f.stops + f.lasts }

// track is a set of targets of which at most one is broken at a time. So at most one member of etcd is away, and of three
// collectors at most two (one by its track, one by the network's).
type track struct {
	name    string
	targets int
	kinds   []kind
	rest    [2]time.Duration // between two faults
}

// kind is a kind of fault and how long it lasts, at least and at most.
type kind struct {
	name   string
	lasts  [2]time.Duration
	leader bool          // hits the leader of etcd
	stops  time.Duration // until the target has stopped in order, where that takes long
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func faultTracks(ttl time.Duration) []track {
	over := ttl + ms(2500) // longer than any lease
	return []track{
		{"etcd", members, []kind{
			{name: "etcd leader killed", lasts: [2]time.Duration{ms(2000), ms(4000)}, leader: true},
			{name: "etcd member killed", lasts: [2]time.Duration{ms(1500), ms(5000)}},
			{name: "etcd member restarted", lasts: [2]time.Duration{ms(200), ms(800)}, stops: memberStop},
			{name: "etcd leader frozen", lasts: [2]time.Duration{ms(1500), ms(3000)}, leader: true},
			{name: "compaction forced", lasts: [2]time.Duration{0, 0}},
		}, [2]time.Duration{ms(2500), ms(5000)}},
		{"collectd", collectors, []kind{
			{name: "collectd killed", lasts: [2]time.Duration{over, over + ms(1500)}},
			{name: "collectd frozen", lasts: [2]time.Duration{over, 2*ttl + ms(2000)}}, // under a new leader of etcd, leases start their whole time again
			{name: "collectd killed, back at once", lasts: [2]time.Duration{ms(100), ms(500)}},
			{name: "collectd isolated, then killed", lasts: [2]time.Duration{ms(500), ms(1500)}},
			{name: "collectd stopped", lasts: [2]time.Duration{ms(1500), ms(2500)}},
		}, [2]time.Duration{ms(3000), ms(4500)}},
		{"ingestd", ingesters, []kind{
			{name: "ingestd killed", lasts: [2]time.Duration{ms(500), ms(3000)}},
			{name: "ingestd isolated, then killed", lasts: [2]time.Duration{ms(300), ms(1000)}},
			{name: "ingestd stopped", lasts: [2]time.Duration{ms(300), ms(1500)}},
			{name: "ingestd frozen", lasts: [2]time.Duration{ms(1500), ms(6000)}},
		}, [2]time.Duration{ms(4000), ms(8000)}},
		{"queryd", queriers, []kind{
			{name: "queryd killed", lasts: [2]time.Duration{ms(500), ms(3000)}},
			{name: "queryd stopped", lasts: [2]time.Duration{ms(300), ms(1500)}},
			{name: "queryd frozen", lasts: [2]time.Duration{ms(1500), ms(7000)}},
		}, [2]time.Duration{ms(4000), ms(8000)}},
		{"network", daemons, []kind{
			{name: "daemon isolated", lasts: [2]time.Duration{ms(2000), over + ms(2000)}},
			{name: "one member black-holed", lasts: [2]time.Duration{ms(4000), ms(12000)}},
			{name: "connections cut", lasts: [2]time.Duration{ms(50), ms(2500)}},
			{name: "connections slow", lasts: [2]time.Duration{ms(3000), ms(7000)}},
		}, [2]time.Duration{ms(1500), ms(4000)}},
	}
}

// warmUp is the time before the first fault.
const warmUp = 3 * time.Second

// planFaults makes the faults of a run; every one is healed when the time is over. Each track goes through its kinds in random
// order, over and over, so that none is left out by chance. They keep out of the way of exchanges, which are faults of the result too.
// only names the tracks to have; without any there are all.
func planFaults(seed uint64, duration, ttl time.Duration, exchanges []fault, only ...string) []fault {
	all := slices.Clone(exchanges)
	for i, t := range faultTracks(ttl) {
		if len(only) > 0 && !slices.Contains(only, t.name) {
			continue
		}
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		var bag []kind
		for at := warmUp + randomBetween(rng, [2]time.Duration{0, t.rest[1]}); ; {
			if len(bag) == 0 {
				bag = slices.Clone(t.kinds)
				rng.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
			}
			k := bag[0]
			bag = bag[1:]
			f := fault{at: at, lasts: randomBetween(rng, k.lasts), stops: k.stops, track: t.name, kind: k.name, target: rng.IntN(t.targets)}
			if k.leader {
				f.target = leader
			}
			f.at = f.yieldTo(exchanges)
			if f.endTime() > duration {
				break
			}
			all = append(all, f)
			at = f.endTime() + randomBetween(rng, t.rest)
		}
	}
	slices.SortStableFunc(all, func(a, b fault) int { return int(a.at - b.at) })
	return all
}

func randomBetween(rng *rand.Rand, span [2]time.Duration) time.Duration {
	return span[0] + time.Duration(rng.Int64N(int64(span[1]-span[0])+1))
}
