package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// upgradeTrack is the track of a rolling upgrade: its faults come one after the other, and each belongs to the track of its
// targets too, so that nothing else happens to these meanwhile.
const upgradeTrack = "upgrade"

// The endings of the kinds of an upgrade's faults, behind their target.
const (
	forward    = "exchanged, forward"
	back       = "exchanged, back"
	anyOrder   = "exchanged, forward, in any order"
	oneByOne   = "restarted, one by one"
	answersDue = "answers compared"
)

const (
	exchangeSpan = 1500 * time.Millisecond // planned for each daemon
	memberSpan   = 9 * time.Second         // planned for each member of etcd
	memberStop   = 7500 * time.Millisecond // a member that is asked to stop waits up to 7 s for its clients' streams, which never end by themselves
	upgradeCycle = 90 * time.Second        // a longer run goes back and forward again and again
)

// planUpgrade makes the rolling upgrade of a run: all daemons begin with the previous release, go to the present one, back, and
// forward again, one process at a time. The members of etcd are restarted one by one beside that. After each group of daemons, and
// while the query servers are of both releases, their answers are compared with the acknowledged uploads.
//
// The first time forward and the way back follow the order of the runbook; the last time forward is in an order of the seed, since a
// chart exchanges all kinds at once.
func planUpgrade(seed uint64, duration time.Duration) []fault {
	rng := rand.New(rand.NewPCG(seed, 2000))
	cycles := max(1, int(duration/upgradeCycle))
	length := duration / time.Duration(cycles)
	var all []fault
	for n := range cycles {
		phases := []struct {
			share float64 // of the cycle
			how   string
		}{{0.1, forward}, {0.25, oneByOne}, {0.42, back}, {0.72, anyOrder}}
		if n > 0 { // the present release is there already
			phases[0].how, phases[2].how, phases = back, anyOrder, phases[:3]
		}
		for _, p := range phases {
			at := time.Duration(n)*length + time.Duration(p.share*float64(length))
			all = appendExchanges(all, at, p.how, rng)
		}
	}
	return all
}

// appendExchanges adds the exchange of all processes of one phase.
func appendExchanges(all []fault, at time.Duration, how string, rng *rand.Rand) []fault {
	if how == oneByOne {
		for target := range members {
			all = append(all, fault{at: at, lasts: memberSpan, track: upgradeTrack, kind: "etcd " + how, target: target})
			at += memberSpan
		}
		return all
	}
	order := daemonsInOrder(how, rng)
	for i, f := range order {
		f.at, f.lasts, f.track = at, exchangeSpan, upgradeTrack
		all = append(all, f)
		at += exchangeSpan
		if f.hits() == "queryd" || i == len(order)-1 || order[i+1].kind != f.kind {
			all = append(all, fault{at: at, track: upgradeTrack, kind: answersDue})
		}
	}
	return all
}

// daemonsInOrder returns the exchange of each daemon, without times. Daemons of the previous release come back in the opposite order.
func daemonsInOrder(how string, rng *rand.Rand) []fault {
	counts := map[string]int{"collectd": collectors, "ingestd": ingesters, "queryd": queriers}
	var order []fault
	for _, kind := range daemonKinds() {
		for target := range counts[kind] {
			order = append(order, fault{kind: kind + " " + how, target: target})
		}
	}
	switch how {
	case back:
		slices.Reverse(order)
	case anyOrder:
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	return order
}

// splitUpgrade returns the exchanges of daemons, with the comparisons, and the ones of members of etcd.
func splitUpgrade(exchanges []fault) (ofDaemons, ofMembers []fault) {
	for _, f := range exchanges {
		if f.hits() == "etcd" {
			ofMembers = append(ofMembers, f)
		} else {
			ofDaemons = append(ofDaemons, f)
		}
	}
	return ofDaemons, ofMembers
}

// hits returns the track whose targets a fault hits.
func (f fault) hits() string {
	if f.track != upgradeTrack {
		return f.track
	}
	kind, _, _ := strings.Cut(f.kind, " ")
	return kind
}

// yieldTo returns the time at which a fault can begin that would begin at the time of f: behind the exchanges that it would
// overlap.
func (f fault) yieldTo(exchanges []fault) time.Duration {
	for _, x := range exchanges {
		if x.hits() == f.track && f.at < x.endTime() && x.at < f.endTime() {
			f.at = x.endTime() + ms(500)
		}
	}
	return f.at
}
