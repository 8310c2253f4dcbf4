package simulation

import (
	"context"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

// senders upload files and keep the answers: they send a file until an answer says that it is in the log.
type senders struct {
	wg sync.WaitGroup

	mu    sync.Mutex
	sent  map[events.ContentHash]bool   // may be in the log
	acked map[string]events.ContentHash // must be, by key
	files [][]events.Event
	open  int // not acknowledged
}

func newSenders() *senders {
	return &senders{sent: map[events.ContentHash]bool{}, acked: map[string]events.ContentHash{}}
}

// send uploads a file by way of whichever appender takes it.
func (w *world) send(file []events.Event, first int) {
	s := w.senders
	s.mu.Lock()
	s.files = append(s.files, file)
	s.open++
	for i := range file {
		s.sent[file[i].Sequence] = true
	}
	s.mu.Unlock()
	s.wg.Go(func() {
		for turn := first; w.ctx.Err() == nil; turn++ {
			if w.sendBy(w.appenders[turn%len(w.appenders)], file) {
				return
			}
			wait.Sleep(w.ctx, 500*time.Millisecond)
		}
	})
}

// sendBy makes one attempt.
func (w *world) sendBy(p *process, file []events.Event) bool {
	log := p.log.Load()
	if log == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	done, err := log.Append(ctx, file)
	if err != nil {
		return false
	}
	s := w.senders
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	for i, a := range done {
		s.acked[a.Key] = file[i].Sequence
	}
	return true
}

// again returns a file that was sent before, nil when there is none.
func (s *senders) again(n int) []events.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) == 0 {
		return nil
	}
	return s.files[n%len(s.files)]
}
