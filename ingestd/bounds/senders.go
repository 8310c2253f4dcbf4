package bounds

// sender is the number of a sender.
type sender uint16

// nobody brings names that count for no sender. The last number is shared by the senders for which no other is left.
const (
	nobody      sender = 0
	mostSenders sender = 10_000
)

// mostLabelNames bounds the names of labels that are remembered, of all senders: some 10 MB. Further ones do not count.
const mostLabelNames = 1 << 18

// senderLocked returns the number of a sender by its name, "" for nobody.
func (l *Ledger) senderLocked(name string) sender {
	if name == "" {
		return nobody
	}
	number, known := l.senders[name]
	if !known {
		if number = sender(len(l.senders) + 1); number == mostSenders {
			return mostSenders
		}
		l.senders[name] = number
	}
	return number
}

// findShareRefusal returns the reason why a record's names are more than its sender may bring.
func (l *Ledger) findShareRefusal(f *File, s *subject, n *names, today int32) Refusal {
	switch {
	case f.by == nobody:
		return Refusal{}
	case !l.hosts.hasShare(f.by, l.cfg.SenderHosts, today, s.hostHash):
		return tooManyOfSender(f.sender, "hosts", string(s.host), l.cfg.SenderHosts)
	case !s.metricKnown && !l.metrics.hasShare(f.by, l.cfg.SenderMetrics, today, n.metric):
		return tooManyOfSender(f.sender, "metrics", s.metric, l.cfg.SenderMetrics)
	case !l.labels.hasShare(f.by, l.cfg.SenderLabels, today, n.labels...):
		return tooManyOfSender(f.sender, "labels", s.identity.Labels[0].Name, l.cfg.SenderLabels)
	}
	return Refusal{}
}

// shareOf returns the most names of a host's or GPU's bound that one sender may bring: three quarters, so that no sender takes all
// the room of a host from the others who may send its telemetry.
func shareOf(most int) int { return most - most/4 }

// findShareRefusal returns the reason why a record's names are more than its sender may bring of their host.
func (h *hostMembers) findShareRefusal(cfg *Config, f *File, s *subject, n *names, today int32) Refusal {
	g := h.details[n.gpu]
	if g == nil {
		g = &gpuMembers{}
	}
	switch {
	case f.by == nobody:
		return Refusal{}
	case s.gpu != "" && !h.gpus.hasShare(f.by, shareOf(cfg.GPUs), today, n.gpu):
		return tooManyOfShare(f.sender, "gpus", string(s.gpu), s.ofHost(), cfg.GPUs, "ingest.max-gpus")
	case !s.metricKnown && !h.metrics.hasShare(f.by, shareOf(cfg.HostMetrics), today, n.metric):
		return tooManyOfShare(f.sender, "metrics", s.metric, s.ofHost(), cfg.HostMetrics, "ingest.max-host-metrics")
	case !g.values.hasShare(f.by, shareOf(cfg.Values), today, n.values...):
		return tooManyOfShare(f.sender, "values", string(s.gpuOrNone()), s.ofGPU(), cfg.Values, "ingest.max-values")
	case s.part != "" && !g.parts.hasShare(f.by, shareOf(cfg.Parts), today, n.part):
		return tooManyOfShare(f.sender, "parts", s.part, s.ofGPU(), cfg.Parts, "ingest.max-parts")
	}
	return Refusal{}
}

// claimLabels counts the names of a record's labels for the file.
func (f *File) claimLabels(n *names, today int32) {
	for _, name := range n.labels {
		if _, found := f.ledger.labels.members[name]; !found && len(f.ledger.labels.members) >= mostLabelNames {
			continue
		}
		if f.claim(&f.ledger.labels, nil, name, today) {
			f.newLabels = append(f.newLabels, name)
		}
	}
}
