package bounds

import (
	"container/list"
	"hash/maphash"
	"sync"
	"time"

	"telemetry-pipeline/events"
)

// mostRemembered bounds the GPUs and names of metrics that a ledger remembers of all hosts, each host itself counted as
// hostSize of them, to some 40 MB: 8,000 hosts of 8 GPUs and 100 metrics.
const (
	mostRemembered = 1 << 20
	hostSize       = 20
)

// Ledger remembers the hosts, GPUs and metrics of the files that a process accepted. It is safe for concurrent use.
type Ledger struct {
	cfg  Config
	seed maphash.Seed
	most int // GPUs and metrics of hosts

	mu      sync.Mutex
	hosts   population
	metrics population
	byHost  map[uint64]*list.Element // of *hostMembers
	recent  *list.List               // the hosts, the one sent last in front
	held    int                      // GPUs and metrics of the hosts
	file    uint32                   // the newest file
}

// hostMembers are the names of one host.
type hostMembers struct {
	host          uint64
	gpus, metrics population
	adder         uint32 // the last file that added a name
	forgotten     bool
}

// size returns the number of names for which the host counts.
func (h *hostMembers) size() int { return hostSize + len(h.gpus.members) + len(h.metrics.members) }

// NewLedger returns an empty ledger.
func NewLedger(cfg Config) *Ledger {
	return &Ledger{cfg: cfg.WithDefaults(), seed: maphash.MakeSeed(), most: mostRemembered, byHost: map[uint64]*list.Element{}, recent: list.New()}
}

// Begin returns the check of one file. It has to be closed.
func (l *Ledger) Begin() *File {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file++
	return &File{ledger: l, id: l.file, hosts: map[events.HostID]*hostCheck{}, byName: map[string]int32{}}
}

// claim is a file's claim of a name that another file brought first.
type claim struct {
	of   *population
	host *hostMembers // the host that the population belongs to, or nil
	name uint64
	day  int32
}

// subject is a record's host, GPU and metric.
type subject struct {
	host   events.HostID
	gpu    events.GPUID // "" without one
	metric string
}

// admit counts a record's host, GPU and metric for a file, or returns the reason why one of them does not fit; then
// none of them is counted.
func (l *Ledger) admit(f *File, s subject) Refusal {
	today := int32(time.Now().Unix() / (24 * 60 * 60))
	host, gpu, metric := maphash.String(l.seed, string(s.host)), maphash.String(l.seed, string(s.gpu)), maphash.String(l.seed, s.metric)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.hosts.hasRoom(host, l.cfg.Hosts, today):
		return l.cfg.tooManyHosts(s)
	case !l.metrics.hasRoom(metric, l.cfg.Metrics, today):
		return l.cfg.tooManyMetrics(s)
	}
	h := l.membersOf(host)
	before := h.size()
	defer func() {
		l.held += h.size() - before
		l.forgetOldest()
	}()
	switch {
	case s.gpu != "" && !h.gpus.hasRoom(gpu, l.cfg.GPUs, today):
		return l.cfg.tooManyGPUs(s)
	case !h.metrics.hasRoom(metric, l.cfg.HostMetrics, today):
		return l.cfg.tooManyHostMetrics(s)
	}
	if f.claim(&l.hosts, nil, host, today) {
		f.newHosts = append(f.newHosts, host)
	}
	if f.claim(&l.metrics, nil, metric, today) {
		f.newMetrics = append(f.newMetrics, metric)
	}
	added := s.gpu != "" && f.claim(&h.gpus, h, gpu, today)
	if f.claim(&h.metrics, h, metric, today) || added {
		f.noteAddition(h)
	}
	return Refusal{}
}

// membersOf returns a host's members, which are now the most recent.
func (l *Ledger) membersOf(host uint64) *hostMembers {
	e, found := l.byHost[host]
	if found {
		l.recent.MoveToFront(e)
	} else {
		e = l.recent.PushFront(&hostMembers{host: host})
		l.byHost[host] = e
		l.held += hostSize
	}
	return e.Value.(*hostMembers)
}

// forgetOldest drops hosts until the rest is within its bound.
func (l *Ledger) forgetOldest() {
	for l.held > l.most && l.recent.Len() > 1 {
		h := l.recent.Remove(l.recent.Back()).(*hostMembers)
		delete(l.byHost, h.host)
		l.held -= h.size()
		h.forgotten = true
	}
}

// closeFile makes a file's claims permanent, or withdraws them.
func (l *Ledger) closeFile(f *File, keep bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, host := range f.newHosts {
		l.hosts.endClaim(host, f.id, keep)
	}
	for _, metric := range f.newMetrics {
		l.metrics.endClaim(metric, f.id, keep)
	}
	for _, h := range f.added {
		before := h.size()
		h.gpus.endClaims(f.id, keep)
		h.metrics.endClaims(f.id, keep)
		if !h.forgotten {
			l.held += h.size() - before
		}
	}
	if keep {
		for _, c := range f.shared {
			l.keepShared(c)
		}
	}
}

// keepShared makes a name permanent that another file brought first, which may have withdrawn it since.
func (l *Ledger) keepShared(c claim) {
	before := len(c.of.members)
	c.of.members[c.name] = member{day: c.day}
	if c.host != nil && !c.host.forgotten {
		l.held += len(c.of.members) - before
	}
}
