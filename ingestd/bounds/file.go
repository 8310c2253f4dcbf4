package bounds

import (
	"context"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// mostCached bounds what a file remembers of its records: some 25 MB.
const mostCached = 1 << 18

// File checks the records of one file. It is not safe for concurrent use.
type File struct {
	ledger *Ledger
	id     uint32
	sender string // "" for nobody
	by     sender // its number

	// A cache of admitted records, so that the ledger is asked once for each identity and each metric of a host.
	hosts   map[events.HostID]*hostCheck
	origins []origin
	origin  int32 // the last one
	names   []metricName
	byName  map[string]int32
	name    int32 // the last one
	cached  int

	newHosts, newMetrics, newLabels []uint64
	added                           []*hostMembers
	shared                          []claim

	values []uint64     // memory for the hashes of a record's values
	labels []uint64     // memory for the hashes of a record's labels
	spare  []*hostCheck // memory for the check of hosts
}

// hostCheck is a host with its admitted records.
type hostCheck struct {
	host       events.HostID
	hash       uint64
	identities map[*events.Identity]int32 // index in File.origins
	metrics    []uint64                   // a bit for each index in File.names
	gpus       map[events.GPUID]*gpuParts
}

// origin is an identity of a host that was admitted, with the index of the one that followed it last time.
type origin struct {
	host     *hostCheck
	identity *events.Identity
	period   *period // of a process; nil for others
	next     int32
}

// metricName is a metric with the index of the one that followed it last time.
type metricName struct {
	name string
	next int32
}

// Admit returns the reason to refuse a record, or the zero Refusal, and then the record counts. It does not keep the
// record. If ctx ends, the stored models may be left unread.
func (f *File) Admit(ctx context.Context, host events.HostID, r *events.Record) Refusal {
	if o := f.findOrigin(host, r.Identity); o != nil && o.host.hasMetric(f.nameIndex(r.Metric)) && (o.period == nil || o.period.extend(r.At)) {
		return Refusal{}
	}
	return f.admitFirst(ctx, host, r)
}

// findOrigin returns an admitted identity of a host, or nil. Most files repeat their order.
func (f *File) findOrigin(host events.HostID, id *events.Identity) *origin {
	if len(f.origins) == 0 {
		return nil
	}
	last := &f.origins[f.origin]
	next := &f.origins[last.next]
	if next.identity == id && next.host.host == host {
		f.origin = last.next
		return next
	}
	if last.identity == id && last.host.host == host {
		return last
	}
	h := f.hosts[host]
	if h == nil {
		return nil
	}
	i, known := h.identities[id]
	if !known {
		return nil
	}
	last.next, f.origin = i, i
	return &f.origins[i]
}

func (f *File) hostCheckOf(host events.HostID) *hostCheck {
	h := f.hosts[host]
	if h == nil {
		h = f.takeSpare()
		h.host, h.hash = host, f.ledger.hash(string(host))
		f.hosts[host] = h
		f.cached += 4
	}
	return h
}

// takeSpare returns an empty check of a host.
func (f *File) takeSpare() *hostCheck {
	n := len(f.spare)
	if n == 0 {
		return &hostCheck{identities: map[*events.Identity]int32{}}
	}
	h := f.spare[n-1]
	f.spare = f.spare[:n-1]
	return h
}

func (h *hostCheck) hasMetric(i int32) bool {
	return i >= 0 && int(i/64) < len(h.metrics) && h.metrics[i/64]&(1<<(i%64)) != 0
}

// nameIndex returns the index of a metric, or -1 for one that no host has yet. Most files repeat their order.
func (f *File) nameIndex(name string) int32 {
	if len(f.names) == 0 {
		return -1
	}
	last := &f.names[f.name]
	if last.name == name {
		return f.name
	}
	if f.names[last.next].name == name {
		f.name = last.next
		return f.name
	}
	i, known := f.byName[name]
	if !known {
		return -1
	}
	last.next, f.name = i, i
	return i
}

// admitFirst checks a record whose identity or metric is new to its host, or whose process was forgotten.
func (f *File) admitFirst(ctx context.Context, host events.HostID, r *events.Record) Refusal {
	cfg := &f.ledger.cfg
	if refusal := cfg.labelsFault(r.Identity); refusal != (Refusal{}) {
		return refusal
	}
	if f.cached > mostCached {
		f.forgetRecords()
	}
	h := f.hostCheckOf(host)
	entity := r.Identity.Entity(host)
	s := subject{host: host, hostHash: h.hash, metric: r.Metric, metricKnown: h.hasMetric(f.nameIndex(r.Metric))}
	isProcess := projections.IsProcess(entity.Part)
	_, known := h.identities[r.Identity]
	if !known {
		s.identity = r.Identity
	}
	if !known || isProcess {
		s.gpu = entity.GPU
	}
	if !known && !isProcess {
		s.part = entity.Part
	}
	if parts := h.gpus[entity.GPU]; isProcess && parts != nil && !parts.hasRoom(entity.Part, r.At, cfg.Parts) {
		return cfg.tooManyProcesses(s, entity.Part)
	}
	if refusal := f.ledger.admit(ctx, f, s); refusal != (Refusal{}) {
		return refusal
	}
	var p *period
	if isProcess {
		p = h.partsOf(entity.GPU).addRecord(entity.Part, r.At)
	}
	f.addOrigin(h, r.Identity, p)
	f.addMetric(h, r.Metric)
	return Refusal{}
}

// addOrigin enters an identity of a host, with the period of its process.
func (f *File) addOrigin(h *hostCheck, id *events.Identity, p *period) {
	i, known := h.identities[id]
	if !known {
		i = int32(len(f.origins))
		f.origins = append(f.origins, origin{host: h, identity: id, next: i})
		h.identities[id] = i
		f.cached += 2
	}
	f.origins[i].period = p
}

func (h *hostCheck) partsOf(gpu events.GPUID) *gpuParts {
	parts := h.gpus[gpu]
	if parts == nil {
		if h.gpus == nil {
			h.gpus = map[events.GPUID]*gpuParts{}
		}
		parts = &gpuParts{periods: map[string]*period{}}
		h.gpus[gpu] = parts
	}
	return parts
}

// addMetric enters a metric of a host.
func (f *File) addMetric(h *hostCheck, name string) {
	i := f.nameIndex(name)
	if i < 0 {
		i = int32(len(f.names))
		f.names = append(f.names, metricName{name: name, next: i})
		f.byName[name] = i
	}
	for int(i/64) >= len(h.metrics) {
		h.metrics = append(h.metrics, 0)
		f.cached++
	}
	h.metrics[i/64] |= 1 << (i % 64)
}

// maxSpare is the number of hosts whose memory is kept.
const maxSpare = 16

// forgetRecords empties the cache.
func (f *File) forgetRecords() {
	for _, h := range f.hosts {
		if len(f.spare) == maxSpare {
			break
		}
		clear(h.identities)
		clear(h.metrics)
		*h = hostCheck{identities: h.identities, metrics: h.metrics[:0]}
		f.spare = append(f.spare, h)
	}
	clear(f.hosts)
	clear(f.byName)
	clear(f.origins)
	clear(f.names)
	f.origins, f.names = f.origins[:0], f.names[:0]
	f.origin, f.name, f.cached = 0, 0, 0
}

// claim counts a name for the file, and reports whether it is new.
func (f *File) claim(of *population, host *hostMembers, name uint64, today int32) bool {
	was, found := of.claimName(name, f.id, f.by, today)
	if !found && host != nil {
		host.unread++
	}
	if found && was.owner != 0 && was.owner != f.id {
		f.shared = append(f.shared, claim{of, host, name, today, f.by})
	}
	return !found
}

// claimOfHost counts a record's names of its host for the file.
func (f *File) claimOfHost(h *hostMembers, s *subject, n *names, today int32) {
	added := !s.metricKnown && f.claim(&h.metrics, h, n.metric, today)
	if s.gpu != "" {
		added = f.claim(&h.gpus, h, n.gpu, today) || added
	}
	if len(n.values) > 0 {
		values := &h.detailsOf(n.gpu).values
		for _, value := range n.values {
			added = f.claim(values, h, value, today) || added
		}
	}
	if s.part != "" {
		added = f.claim(&h.detailsOf(n.gpu).parts, h, n.part, today) || added
	}
	if added {
		f.noteAddition(h)
	}
}

// noteAddition notes that the file brought a name of a host.
func (f *File) noteAddition(h *hostMembers) {
	if h.adder != f.id {
		h.adder = f.id
		f.added = append(f.added, h)
	}
}

// mostReused is the size of the cache up to which the next file uses its memory.
const mostReused = 1 << 10

// Close ends the check. If keep is true the file's hosts, GPUs and metrics count from now on, else they do no longer. The
// File must not be used any more.
func (f *File) Close(keep bool) {
	f.ledger.closeFile(f, keep)
	if f.cached > mostReused {
		return
	}
	f.forgetRecords()
	clear(f.added)
	clear(f.shared)
	f.newHosts, f.newMetrics, f.newLabels = f.newHosts[:0], f.newMetrics[:0], f.newLabels[:0]
	f.added, f.shared = f.added[:0], f.shared[:0]
	f.ledger.closed.Put(f)
}
