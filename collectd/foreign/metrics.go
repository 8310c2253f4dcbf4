package foreign

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Status is a process's view of foreign keys. The numbers except Waiting and Left count from its start.
type Status struct {
	Leading  bool       `json:"leading"` // this process takes them in
	Waiting  int64      `json:"waiting"` // at the last listing
	Left     int64      `json:"left"`    // keys that stay in place, too large to be moved
	Taken    int64      `json:"taken"`
	SetAside int64      `json:"set_aside"` // of Taken: wholly or in part in the quarantine
	Records  int64      `json:"records"`
	Repeated int64      `json:"repeated_events"` // already in the log
	Failures int64      `json:"failures"`
	Error    string     `json:"error,omitempty"` // the last one, until something is taken again
	ErrorAt  *time.Time `json:"error_at,omitempty"`
}

// statusCounter is a Status that is updated. Safe for concurrent use.
type statusCounter struct {
	mu     sync.Mutex
	status Status
	leads  int
}

func (c *statusCounter) updateStatus(how func(s *Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	how(&c.status)
}

func (c *statusCounter) addLeader(by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leads += by
	c.status.Leading = c.leads > 0
	if !c.status.Leading { // another process knows now
		c.status.Waiting, c.status.Left, c.status.Error, c.status.ErrorAt = 0, 0, "", nil
	}
}

func (c *statusCounter) currentStatus() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Metrics registers the metrics.
func (t *Taker) Metrics(reg prometheus.Registerer) error {
	var all []error
	number := func(name, help string, of func(s Status) int64, count bool) {
		value := func() float64 { return float64(of(t.counts.currentStatus())) }
		if count {
			all = append(all, reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value)))
			return
		}
		all = append(all, reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)))
	}
	number("foreign_keys_total", "Keys of foreign producers taken in and removed.", func(s Status) int64 { return s.Taken }, true)
	number("foreign_keys_set_aside_total", "Of them, those that went to the quarantine, wholly or in part.", func(s Status) int64 { return s.SetAside }, true)
	number("foreign_records_total", "Records of foreign producers appended.", func(s Status) int64 { return s.Records }, true)
	number("foreign_repeated_events_total", "Events of foreign producers that were in the log already.", func(s Status) int64 { return s.Repeated }, true)
	number("foreign_failures_total", "Times that taking keys in failed and was tried again.", func(s Status) int64 { return s.Failures }, true)
	number("foreign_keys_waiting", "Keys of foreign producers when they were listed last, where they are taken in.", func(s Status) int64 { return s.Waiting }, false)
	number("foreign_keys_left", "Keys of foreign producers that stay where they are, too large to be moved.", func(s Status) int64 { return s.Left }, false)
	return errors.Join(all...)
}

// Status returns the status of this process.
func (t *Taker) Status() Status { return t.counts.currentStatus() }
