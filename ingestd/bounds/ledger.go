package bounds

import (
	"container/list"
	"context"
	"hash/maphash"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// mostRemembered bounds the names that a ledger remembers of all hosts (GPUs, values of their fields, parts and metrics),
// each host itself counted as hostSize of them, to some 60 MB: 8,000 hosts of 8 GPUs and 100 metrics.
const (
	mostRemembered = 3 << 19
	hostSize       = 20
)

// hostReader reads the stored models of a host. The zero Host means that there are none, or that they cannot be read.
type hostReader interface {
	ReadHost(ctx context.Context, host events.HostID) projections.Host
}

// Ledger remembers the hosts, GPUs and metrics of the files that a process accepted. It is safe for concurrent use.
//
// Names that a host has from before the process started, or from another server, are in its stored models. They are read
// when the process has accepted mostUnread names of the host that were new to it, and again after as many more. So most hosts
// are never read, and a host can pass a bound by mostUnread names for each start and each server, and by the names that
// are not folded yet. The bounds of the projections have room for that.
type Ledger struct {
	cfg    Config
	stored hostReader // may be nil
	seed   maphash.Seed
	most   int // names of hosts

	mu      sync.Mutex
	hosts   population
	metrics population
	labels  population               // names of labels that senders brought
	senders map[string]sender        // numbers by name
	byHost  map[uint64]*list.Element // of *hostMembers
	recent  *list.List               // the hosts, the one sent last in front
	held    int                      // names of the hosts
	file    uint32                   // the newest file

	closed sync.Pool // of *File, whose memory others use
}

// hostMembers are the names of one host.
type hostMembers struct {
	host          uint64
	gpus, metrics population
	details       map[uint64]*gpuMembers // by GPU, also for the host itself
	names         int                    // in all these populations
	unread        int                    // names that were added since the stored models were read
	adder         uint32                 // the last file that added a name
	forgotten     bool
}

// gpuMembers are the names of one GPU: the values of its fields, and its parts other than processes.
type gpuMembers struct{ values, parts population }

func newHostMembers(host uint64) *hostMembers {
	h := &hostMembers{host: host, details: map[uint64]*gpuMembers{}}
	h.gpus.count, h.metrics.count = &h.names, &h.names
	return h
}

// size returns the number of names for which the host counts.
func (h *hostMembers) size() int { return hostSize + h.names }

func (h *hostMembers) detailsOf(gpu uint64) *gpuMembers {
	g := h.details[gpu]
	if g == nil {
		g = &gpuMembers{}
		g.values.count, g.parts.count = &h.names, &h.names
		h.details[gpu] = g
	}
	return g
}

// NewLedger returns an empty ledger. Nothing is read if stored is nil.
func NewLedger(cfg Config, stored hostReader) *Ledger {
	l := &Ledger{
		cfg: cfg.WithDefaults(), stored: stored, seed: maphash.MakeSeed(), most: mostRemembered,
		byHost: map[uint64]*list.Element{}, recent: list.New(), senders: map[string]sender{},
	}
	for _, p := range []*population{&l.hosts, &l.metrics, &l.labels} {
		p.countBrought()
	}
	return l
}

// Begin returns the check of one file of a sender, "" for nobody, whose names count only in all. It has to be closed.
func (l *Ledger) Begin(sender string) *File {
	f, ok := l.closed.Get().(*File)
	if !ok {
		f = &File{ledger: l, hosts: map[events.HostID]*hostCheck{}, byName: map[string]int32{}}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file++
	f.id, f.sender, f.by = l.file, sender, l.senderLocked(sender)
	return f
}

// claim is a file's claim of a name that another file brought first.
type claim struct {
	of   *population
	host *hostMembers // the host that the population belongs to, or nil
	name uint64
	day  int32
	by   sender
}

// subject is a record's host, GPU and metric.
type subject struct {
	host        events.HostID
	hostHash    uint64
	gpu         events.GPUID     // "" without one
	part        string           // "" for a process too
	identity    *events.Identity // whose values are not counted yet; may be nil
	metric      string
	metricKnown bool // the file has the metric of that host already
}

// names are the hashes of a subject's names.
type names struct {
	gpu, part, metric uint64
	values            []uint64
	labels            []uint64 // of their names; none for a file of nobody
}

func (l *Ledger) hash(text string) uint64 { return maphash.String(l.seed, text) }

func (l *Ledger) hashValue(f projections.Field, text string) uint64 { return l.hash(text) + uint64(f) }

// hashNames returns the hashes of a subject's names, in memory of the file.
func (l *Ledger) hashNames(f *File, s *subject) names {
	n := names{gpu: l.hash(string(s.gpu)), values: f.values[:0], labels: f.labels[:0]}
	if s.part != "" {
		n.part = l.hash(s.part)
	}
	if !s.metricKnown {
		n.metric = l.hash(s.metric)
	}
	if s.identity != nil {
		projections.EachGPUField(s.identity, func(f projections.Field, text string) { n.values = append(n.values, l.hashValue(f, text)) })
		for i := 0; f.by != nobody && i < len(s.identity.Labels); i++ {
			n.labels = append(n.labels, l.hash(s.identity.Labels[i].Name))
		}
	}
	f.values, f.labels = n.values, n.labels
	return n
}

func dayOf(t time.Time) int32 { return int32(t.Unix() / (24 * 60 * 60)) }

// admit counts a record's names for a file, or returns the reason why one of them does not fit; then none of them is
// counted.
func (l *Ledger) admit(ctx context.Context, f *File, s subject) Refusal {
	today, n := dayOf(time.Now()), l.hashNames(f, &s)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readDueLocked(ctx, s.host, s.hostHash)
	switch {
	case !l.hosts.hasRoom(l.cfg.Hosts, today, s.hostHash):
		return l.cfg.tooManyHosts(s)
	case !s.metricKnown && !l.metrics.hasRoom(l.cfg.Metrics, today, n.metric):
		return l.cfg.tooManyMetrics(s)
	}
	if refusal := l.findShareRefusal(f, &s, &n, today); refusal != (Refusal{}) {
		return refusal
	}
	h := l.membersOf(s.hostHash)
	before := h.size()
	if refusal := h.findRefusal(&l.cfg, f, &s, &n, today); refusal != (Refusal{}) {
		l.countNames(h, before)
		return refusal
	}
	if f.claim(&l.hosts, nil, s.hostHash, today) {
		f.newHosts = append(f.newHosts, s.hostHash)
	}
	if !s.metricKnown && f.claim(&l.metrics, nil, n.metric, today) {
		f.newMetrics = append(f.newMetrics, n.metric)
	}
	f.claimLabels(&n, today)
	f.claimOfHost(h, &s, &n, today)
	l.countNames(h, before)
	return Refusal{}
}

// findRefusal returns the reason why one of a record's names does not fit its host, or its sender's share of the host.
func (h *hostMembers) findRefusal(cfg *Config, f *File, s *subject, n *names, today int32) Refusal {
	g := h.details[n.gpu]
	if g == nil {
		g = &gpuMembers{}
	}
	switch {
	case s.gpu != "" && !h.gpus.hasRoom(cfg.GPUs, today, n.gpu):
		return cfg.tooManyGPUs(*s)
	case !s.metricKnown && !h.metrics.hasRoom(cfg.HostMetrics, today, n.metric):
		return cfg.tooManyHostMetrics(*s)
	case !g.values.hasRoom(cfg.Values, today, n.values...):
		return cfg.tooManyValues(*s)
	case s.part != "" && !g.parts.hasRoom(cfg.Parts, today, n.part):
		return cfg.tooManyParts(*s)
	}
	return h.findShareRefusal(cfg, f, s, n, today)
}

// countNames notes the change of a host's size since it had another, and makes room.
func (l *Ledger) countNames(h *hostMembers, before int) {
	l.held += h.size() - before
	l.forgetOldest()
}

// membersOf returns a host's members, which are now the most recent.
func (l *Ledger) membersOf(host uint64) *hostMembers {
	e, found := l.byHost[host]
	if found {
		l.recent.MoveToFront(e)
	} else {
		e = l.recent.PushFront(newHostMembers(host))
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
	for _, label := range f.newLabels {
		l.labels.endClaim(label, f.id, keep)
	}
	for _, h := range f.added {
		before := h.size()
		h.endClaims(f.id, keep)
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

// endClaims makes a file's claims of the host's names permanent, or withdraws them.
func (h *hostMembers) endClaims(file uint32, keep bool) {
	h.gpus.endClaims(file, keep)
	h.metrics.endClaims(file, keep)
	for gpu, g := range h.details {
		g.values.endClaims(file, keep)
		g.parts.endClaims(file, keep)
		if len(g.values.members)+len(g.parts.members) == 0 {
			delete(h.details, gpu)
		}
	}
}

// keepShared makes a name permanent that another file brought first, which may have withdrawn it since.
func (l *Ledger) keepShared(c claim) {
	before := len(c.of.members)
	c.of.put(c.name, member{day: c.day, by: c.by})
	if c.host != nil && !c.host.forgotten {
		l.held += len(c.of.members) - before
	}
}
