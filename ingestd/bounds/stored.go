package bounds

import (
	"context"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// mostUnread is the number of names new to the process that a host may bring before its stored models are read.
const mostUnread = 256

// readDueLocked reads the stored models of a host if it brought many names since that was done last. Meanwhile it leaves
// the lock to others.
func (l *Ledger) readDueLocked(ctx context.Context, host events.HostID, name uint64) {
	if l.stored == nil || !l.isReadDueLocked(name) {
		return
	}
	models := l.readUnlocked(ctx, host)
	l.addStoredLocked(name, &models)
}

func (l *Ledger) readUnlocked(ctx context.Context, host events.HostID) projections.Host {
	l.mu.Unlock()
	defer l.mu.Lock()
	return l.stored.ReadHost(ctx, host)
}

// isReadDueLocked reports whether a host's stored models have to be read; then they are not due for others.
func (l *Ledger) isReadDueLocked(host uint64) bool {
	e, found := l.byHost[host]
	if !found {
		return false
	}
	h := e.Value.(*hostMembers)
	if h.unread < mostUnread {
		return false
	}
	h.unread = 0
	return true
}

// addStoredLocked adds the names in the stored models of a host. They count as sent today.
func (l *Ledger) addStoredLocked(host uint64, models *projections.Host) {
	known := member{day: dayOf(time.Now())}
	h := l.membersOf(host)
	defer l.countNames(h, h.size())
	for i := range models.Identity.GPUs {
		k := &models.Identity.GPUs[i]
		gpu := l.hash(string(k.Name))
		if k.Name != "" {
			h.gpus.put(gpu, known)
		}
		for _, r := range k.Runs {
			h.detailsOf(gpu).values.put(l.hashValue(r.Field, r.Value), known)
		}
	}
	for i := range models.Live.Entities {
		l.addStoredEntity(h, &models.Live.Entities[i], known)
	}
}

func (l *Ledger) addStoredEntity(h *hostMembers, e *projections.LiveEntity, known member) {
	if e.Entity.Part != "" && !e.IsProcess() {
		h.detailsOf(l.hash(string(e.Entity.GPU))).parts.put(l.hash(e.Entity.Part), known)
	}
	for _, readings := range [...][]projections.Latest{e.Latest, e.Ahead} {
		for i := range readings {
			metric := l.hash(readings[i].Metric)
			h.metrics.put(metric, known)
			l.metrics.put(metric, known)
		}
	}
}
