package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// step is one thing that happens, after a pause. The meaning of n and m depends on the kind; the target is found by counting through
// those that are there.
type step struct {
	after time.Duration
	kind  string
	n, m  int
	hold  time.Duration
}

func (s step) String() string {
	return fmt.Sprintf("+%-6s %s n=%d m=%d for %s", s.after.Round(time.Millisecond), s.kind, s.n, s.m, s.hold.Round(time.Millisecond))
}

type schedule []step

func (s schedule) String() string {
	var b strings.Builder
	for i, st := range s {
		fmt.Fprintf(&b, "  %2d %s\n", i, st)
	}
	return b.String()
}

// kinds are the possible steps and their frequency.
var kinds = []struct {
	kind   string
	weight int
}{
	{"upload", 50}, {"upload again", 4}, {"upload of all", 4},
	{"join", 6}, {"leave", 4}, {"kill", 6}, {"kill and restart", 6},
	{"freeze", 8}, {"refuse", 4}, {"silence", 4}, {"expire leases", 4},
	{"fail calls", 6}, {"lose answers", 8}, {"late effects", 8}, {"slow calls", 4}, {"late news", 5}, {"repeat news", 4}, {"merge news", 2},
	{"compact", 8}, {"compact under watches", 5}, {"break watches", 4},
	{"restart etcd", 3}, {"fill etcd", 2},
	{"restart hub", 2}, {"leave hub", 6}, {"stall reader", 4},
	{"rebuild", 4}, {"give up", 1},
}

// plan makes the schedule of a seed.
func plan(seed uint64) schedule {
	r := rand.New(rand.NewPCG(seed, 0))
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	all := make(schedule, 20+r.IntN(20))
	for i := range all {
		n := r.IntN(total)
		k := 0
		for ; n >= kinds[k].weight; k++ {
			n -= kinds[k].weight
		}
		all[i] = step{kind: kinds[k].kind, n: r.IntN(64), m: r.IntN(64)}
		switch r.IntN(4) { // close together as often as far apart
		case 0:
			all[i].after = 0
		case 1:
			all[i].after = time.Duration(r.IntN(20)) * time.Millisecond
		case 2:
			all[i].after = time.Duration(r.IntN(500)) * time.Millisecond
		default:
			all[i].after = time.Duration(r.IntN(4000)) * time.Millisecond
		}
		all[i].hold = time.Duration(1+r.IntN(2000)) * time.Millisecond
		if r.IntN(2) == 0 {
			all[i].hold = leaseTTL - time.Second + time.Duration(r.IntN(6000))*time.Millisecond
		}
	}
	return all
}

// run makes everything happen.
func (w *world) run(all schedule) {
	for i, s := range all {
		time.Sleep(s.after)
		w.note("step %d %s", i, s)
		w.do(s)
	}
}

func (w *world) do(s step) {
	switch s.kind {
	case "upload":
		w.send(w.sources.upload(1+s.n/4), s.m)
	case "upload of all":
		w.send(w.sources.all(), s.m)
	case "upload again":
		if file := w.senders.again(s.n); file != nil {
			w.send(file, s.m)
		}
	case "join":
		if len(w.collectors) < 4 {
			w.join(s.n%2 == 0)
		}
	case "leave", "kill", "kill and restart":
		w.remove(s)
	case "restart etcd":
		w.etcd.Stop()
		time.AfterFunc(s.hold/4, w.etcd.Start)
	case "fill etcd":
		w.etcd.SetNoSpace(true)
		time.AfterFunc(s.hold/2, func() { w.etcd.SetNoSpace(false) })
	case "compact":
		w.etcd.Compact()
	case "rebuild":
		w.rebuild()
	case "give up":
		w.giveUp()
	case "restart hub":
		w.restartHub(s.n)
	case "leave hub":
		r := w.readers[s.n%len(w.readers)]
		r.mu.Lock()
		if r.hub += s.m; r.leave != nil {
			r.leave()
		}
		r.mu.Unlock()
	case "stall reader":
		r := w.readers[s.n%len(w.readers)]
		r.mu.Lock()
		r.stall = s.hold
		r.mu.Unlock()
	default:
		w.harm(w.victim(s), s)
	}
}

// victim finds a process: a collector twice as often as any other.
func (w *world) victim(s step) *process {
	var all []*process
	for _, group := range [][]*process{w.collectors, w.hubs, w.collectors, w.appenders} {
		all = append(all, group...)
	}
	return all[s.n%len(all)]
}

// harm does something to one process.
func (w *world) harm(p *process, s step) {
	w.note("… to %s", p.name)
	calm := func(change func()) {
		time.AfterFunc(s.hold, func() { p.set(change) })
	}
	switch s.kind {
	case "freeze":
		p.client.Freeze()
		time.AfterFunc(s.hold, p.client.Thaw)
	case "refuse":
		p.client.Refuse()
		time.AfterFunc(s.hold, p.client.Reconnect)
	case "silence":
		p.client.Silence()
		time.AfterFunc(s.hold, p.client.Reconnect)
	case "expire leases":
		w.etcd.ExpireLeases(p.client)
	case "fail calls":
		p.set(func() { p.failing += 1 + s.m%6 })
	case "lose answers":
		p.set(func() { p.losing += 1 + s.m%4 })
	case "late effects":
		p.set(func() { p.ghosts, p.haunting = p.ghosts+1+s.m%4, s.hold })
	case "slow calls":
		p.set(func() { p.latency = s.hold / 8 })
		calm(func() { p.latency = 0 })
	case "late news":
		p.set(func() { p.lag = s.hold / 2 })
		calm(func() { p.lag = 0 })
	case "repeat news":
		p.client.Repeat(1 + s.m%10)
	case "merge news":
		p.client.Merge(s.m%2 == 0)
	case "compact under watches":
		w.etcd.CompactWatches(p.client)
	case "break watches":
		w.etcd.BreakWatches(p.client)
	default:
		panic("no step of kind " + s.kind)
	}
}

// remove ends a collector, well or badly, and starts it again at once where the schedule says so.
func (w *world) remove(s step) {
	if len(w.collectors) == 0 {
		w.join(false)
		return
	}
	i := s.n % len(w.collectors)
	p := w.collectors[i]
	w.note("… to %s", p.name)
	w.collectors = append(w.collectors[:i:i], w.collectors[i+1:]...)
	w.leaving = append(w.leaving, p)
	if s.kind != "leave" {
		p.client.Kill()
	}
	p.stop()
	if s.kind == "kill and restart" {
		<-p.done // the dead let go of their files
		w.collectors = append(w.collectors, w.launchCollector(p.name+"'", p.dir))
	}
}

func (w *world) restartHub(n int) {
	i := n % len(w.hubs)
	p := w.hubs[i]
	p.client.Kill()
	p.stop()
	<-p.done
	next := w.startHub(p.name + "'")
	for _, r := range w.readers { // they look into hubs
		r.mu.Lock()
		defer r.mu.Unlock()
	}
	w.hubs[i] = next
}

// heal ends all harm; there is a collector.
func (w *world) heal() {
	w.etcd.Start()
	w.etcd.SetNoSpace(false)
	for _, p := range w.everybody() {
		p.client.Reconnect() // also thaws
		p.client.Repeat(0)
		p.set(func() { p.failing, p.losing, p.ghosts, p.latency, p.lag = 0, 0, 0, 0, 0 })
	}
	if len(w.collectors) == 0 {
		w.join(false)
	}
}
