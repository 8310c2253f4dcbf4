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
