package collect

import (
	"math"
	"sync"
	"time"
)

// maxCommitPause bounds the pause between two commits of a partition, and with it the age of the readings that are stored.
const maxCommitPause = time.Second

// A commit costs nearly the same whether it holds one host or fifty, so under load fewer commits with more hosts take less of
// etcd's time and of the readers'. A collector that folds few events a second, which are reports of one host each, makes as many commits as
// come; one that folds many makes few. The credit is for bursts: a single upload may need several commits of each partition.
const (
	fewEvents    = 300 // a second, in all partitions together
	manyEvents   = 1000
	mostCommits  = 512 // a second, of few events
	leastCommits = 64  // a second, of many
	commitCredit = 256
	loadedAfter  = 8 // seconds over which the load is taken that makes chunks wait
	loadedDelay  = 400 * time.Millisecond
)

// commitPacer spreads the commits of all partitions of a collector. Safe for concurrent use.
type commitPacer struct {
	mu     sync.Mutex
	at     time.Time // of the newest call
	lately float64   // events folded a second, over about a second
	longer float64   // the same over about loadedAfter
	credit float64   // commits that may be made at once; below 0: turns that were reserved and are still to come
}

// turn is when a partition may commit again.
type turn struct {
	at   time.Time
	idle time.Duration // time without a new event after which pending records are written without waiting for more
}

// reserveTurn returns the turn of one more commit after one of so many events. It comes at now while there is credit, and never more than
// maxCommitPause later. Chunks wait longer while many events keep coming, since the records of several make one chunk.
func (p *commitPacer) reserveTurn(now time.Time, events int64) turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	elapsed := math.Inf(1)
	if !p.at.IsZero() {
		elapsed = max(0, now.Sub(p.at).Seconds())
	}
	if now.After(p.at) {
		p.at = now
	}
	p.lately = p.lately*math.Exp(-elapsed) + float64(events)
	p.longer = p.longer*math.Exp(-elapsed/loadedAfter) + float64(events)/loadedAfter
	every := commitEvery(p.lately)
	p.credit = min(commitCredit, p.credit+elapsed/every) - 1
	p.credit = max(p.credit, -maxCommitPause.Seconds()/every)
	pause := time.Duration(max(0, -p.credit*every) * float64(time.Second))
	loaded := time.Duration(min(1, p.longer/fewEvents) * float64(loadedDelay))
	return turn{at: now.Add(pause), idle: max(idleDelay, pause, loaded)}
}

// commitEvery returns the seconds between two commits while so many events are folded a second.
func commitEvery(events float64) float64 {
	share := min(1, max(0, (events-fewEvents)/(manyEvents-fewEvents)))
	return 1./mostCommits + share*(1./leastCommits-1./mostCommits)
}

// commitPace is the pace of one partition's commits: at once while there are few and etcd is fast; with pauses while the
// collector folds many events, or while commits are slow, so that they take a bounded share of etcd's time. One goroutine uses it.
type commitPace struct {
	pacer  *commitPacer
	commit time.Duration // moving average of a commit's duration
	events int64         // that were folded when the last commit ended
	next   turn
}

// observeCommit reserves the turn of the next commit after one that has ended now, when so many events of the partition were folded in
// all. A partition with much to read, which does not wait for turns, takes none from the others.
func (p *commitPace) observeCommit(now time.Time, took time.Duration, events int64, bulk bool) {
	folded := events - p.events
	p.events = events
	if bulk {
		p.next = turn{at: now, idle: idleDelay}
		return
	}
	p.commit += (took - p.commit) / 8
	p.next = p.pacer.reserveTurn(now, folded)
	if p.commit > slowCommit {
		p.next.at = laterTime(p.next.at, now.Add(min(4*p.commit, maxCommitPause)))
		p.next.idle = max(p.next.idle, p.next.at.Sub(now))
	}
}

// slowCommit is the average duration from which on etcd is taken to be busy.
const slowCommit = 12 * time.Millisecond

func laterTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
