package bounds

import "telemetry-pipeline/events"

// mostCached bounds what a file remembers of its records: some 25 MB.
const mostCached = 1 << 18

// File checks the records of one file. It is not safe for concurrent use.
type File struct {
	ledger *Ledger
	id     uint32

	// A cache of admitted records, so that the ledger is asked once for each identity and each metric of a host.
	hosts  map[events.HostID]*hostCheck
	last   *hostCheck
	names  []metricName
	byName map[string]int32
	name   int32 // the last one
	cached int

	newHosts, newMetrics []uint64
	added                []*hostMembers
	shared               []claim
}

// hostCheck is a host with its admitted records.
type hostCheck struct {
	host       events.HostID
	identities map[*events.Identity]*period // of the part; nil for a GPU itself
	identity   *events.Identity             // the last one
	period     *period
	metrics    []uint64 // a bit for each index in File.names
	gpus       map[events.GPUID]*gpuParts
}

// metricName is a metric with the index of the one that followed it last time.
type metricName struct {
	name string
	next int32
}

// Admit returns the reason to refuse a record, or the zero Refusal, and then the record counts. It does not keep the
// record.
func (f *File) Admit(host events.HostID, r *events.Record) Refusal {
	h := f.last
	if h == nil || h.host != host {
		h = f.hostCheckOf(host)
	}
	if h.knowsIdentity(r.Identity) && h.hasMetric(f.nameIndex(r.Metric)) && (h.period == nil || h.period.extend(r.At)) {
		return Refusal{}
	}
	return f.admitFirst(h, r)
}

func (f *File) hostCheckOf(host events.HostID) *hostCheck {
	h := f.hosts[host]
	if h == nil {
		h = &hostCheck{host: host, identities: map[*events.Identity]*period{}}
		f.hosts[host] = h
		f.cached += 4
	}
	f.last = h
	return h
}

func (h *hostCheck) knowsIdentity(id *events.Identity) bool {
	if h.identity == id {
		return true
	}
	p, known := h.identities[id]
	if known {
		h.identity, h.period = id, p
	}
	return known
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

// admitFirst checks a record whose identity or metric is new to its host, or whose part was forgotten.
func (f *File) admitFirst(h *hostCheck, r *events.Record) Refusal {
	cfg := &f.ledger.cfg
	if refusal := cfg.labelsFault(r.Identity); refusal != (Refusal{}) {
		return refusal
	}
	if f.cached > mostCached {
		f.forgetRecords()
		h = f.hostCheckOf(h.host)
	}
	entity := r.Identity.Entity(h.host)
	s := subject{h.host, entity.GPU, r.Metric}
	parts := h.gpus[entity.GPU]
	if entity.Part != "" && parts != nil && !parts.hasRoom(entity.Part, r.At, cfg.Parts) {
		return cfg.tooManyParts(s, entity.Part)
	}
	if refusal := f.ledger.admit(f, s); refusal != (Refusal{}) {
		return refusal
	}
	h.identity, h.period = r.Identity, nil
	if entity.Part != "" {
		h.period = h.partsOf(entity.GPU).addRecord(entity.Part, r.At)
	}
	h.identities[r.Identity] = h.period
	f.addMetric(h, r.Metric)
	f.cached += 2
	return Refusal{}
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

// forgetRecords empties the cache.
func (f *File) forgetRecords() {
	clear(f.hosts)
	clear(f.byName)
	f.names, f.name, f.last, f.cached = f.names[:0], 0, nil, 0
}

// claim counts a name for the file, and reports whether it is new.
func (f *File) claim(of *population, host *hostMembers, name uint64, today int32) bool {
	was, found := of.claimName(name, f.id, today)
	if found && was.owner != 0 && was.owner != f.id {
		f.shared = append(f.shared, claim{of, host, name, today})
	}
	return !found
}

// noteAddition notes that the file brought a name of a host.
func (f *File) noteAddition(h *hostMembers) {
	if h.adder != f.id {
		h.adder = f.id
		f.added = append(f.added, h)
	}
}

// Close ends the check. If keep is true the file's hosts, GPUs and metrics count from now on, else they do no longer.
func (f *File) Close(keep bool) { f.ledger.closeFile(f, keep) }
