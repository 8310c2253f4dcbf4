package main

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// ledger holds the readings that were sent and the ones that were acknowledged. Safe for concurrent use.
type ledger struct {
	mu      sync.Mutex
	sent    map[reading]string // every record of which all bytes were sent at least once, with its value
	acked   map[reading]bool
	newest  string         // the newest revision of an acknowledgement
	at      []time.Time    // of the acknowledgements
	answers map[string]int // how uploads ended, attempt by attempt
	kinds   map[string]int // acknowledged uploads by kind
	wrong   []string       // answers that the promises do not allow
}

func newLedger() *ledger {
	return &ledger{sent: map[reading]string{}, acked: map[reading]bool{}, answers: map[string]int{}, kinds: map[string]int{}}
}

// sending records the rows that an attempt will send: the rows that end within the first bytes.
func (l *ledger) sending(u *upload, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, row := range u.rows {
		if row.end > bytes {
			return
		}
		for i, r := range row.readings {
			l.sent[r] = row.values[i]
		}
	}
}

// listAcknowledged notes that all of an upload was promised to be kept.
func (l *ledger) listAcknowledged(u *upload, revision string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.newest == "" || numberOf(revision) > numberOf(l.newest) {
		l.newest = revision
	}
	l.at = append(l.at, at)
	l.kinds[u.kind]++
	for _, row := range u.rows {
		for _, r := range row.readings {
			l.acked[r] = true
		}
	}
}

// copyAcknowledged returns the readings that are acknowledged by now, and a revision that covers them.
func (l *ledger) copyAcknowledged() (acked map[reading]bool, newest string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acked), l.newest
}

// copySent returns the readings that were sent by now.
func (l *ledger) copySent() map[reading]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.sent)
}

// recordAnswer counts how an attempt ended.
func (l *ledger) recordAnswer(how string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[how]++
}

// recordFault notes an answer that is against the promises.
func (l *ledger) recordFault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}
