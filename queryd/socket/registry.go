package socket

import (
	"sync"
	"sync/atomic"
)

// registry holds the connections and bounds their number.
type registry struct {
	max, perIP int
	idle       chan struct{} // closed when stopped and empty

	mu      sync.Mutex
	conns   map[*conn]struct{}
	byIP    map[string]int
	shares  map[string]*share // of each caller with a connection
	stopped bool
}

func newRegistry(limit, perIP int) registry {
	return registry{max: limit, perIP: perIP, idle: make(chan struct{}), conns: map[*conn]struct{}{}, byIP: map[string]int{}, shares: map[string]*share{}}
}

// share is the part that one caller has of the server.
type share struct {
	caller     string
	conns      int // the registry's lock guards it
	operations atomic.Int64
}

// enterOperation counts a subscription or another operation, and returns false if the caller has as many as it may.
func (s *share) enterOperation(most int) bool {
	if s.operations.Add(1) <= int64(most) {
		return true
	}
	s.operations.Add(-1)
	return false
}

// leaveOperations ends a number of operations.
func (s *share) leaveOperations(n int) { s.operations.Add(-int64(n)) }

// refusal is the reason why a connection is refused; "" if it is not.
type refusal string

const (
	stopping  refusal = "stopping"
	tooMany   refusal = "limit"
	tooManyIP refusal = "per_ip"
)

// checkRoom returns the refusal for one more connection from ip.
func (r *registry) checkRoom(ip string) refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roomLocked(ip)
}

func (r *registry) roomLocked(ip string) refusal {
	switch {
	case r.stopped:
		return stopping
	case len(r.conns) >= r.max:
		return tooMany
	case r.byIP[ip] >= r.perIP:
		return tooManyIP
	}
	return ""
}

// addConn adds a connection; the caller removes it.
func (r *registry) addConn(c *conn) refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := r.roomLocked(c.request.ip); why != "" {
		return why
	}
	r.conns[c] = struct{}{}
	r.byIP[c.request.ip]++
	return ""
}

func (r *registry) removeConn(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	if r.byIP[c.request.ip]--; r.byIP[c.request.ip] == 0 {
		delete(r.byIP, c.request.ip)
	}
	if s := c.share; s != nil {
		if s.conns--; s.conns == 0 {
			delete(r.shares, s.caller)
		}
	}
	if r.stopped && len(r.conns) == 0 {
		close(r.idle)
	}
}

// addCaller counts a connection for its caller, and returns the caller's share; nil if it has too many connections.
func (r *registry) addCaller(caller string) *share {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.shares[caller]
	if s == nil {
		s = &share{caller: caller}
		r.shares[caller] = s
	}
	if s.conns >= r.perIP {
		return nil
	}
	s.conns++
	return s
}

func (r *registry) connCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// stopAccepting refuses new connections and closes the open ones. It returns their number. Another call changes
// nothing.
func (r *registry) stopAccepting(why *closing) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return len(r.conns)
	}
	r.stopped = true
	if len(r.conns) == 0 {
		close(r.idle)
	}
	for c := range r.conns {
		c.cancel(why)
	}
	return len(r.conns)
}

// cutAll cuts the remaining connections without a close frame, and returns their number.
func (r *registry) cutAll() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.cutOff()
	}
	return len(r.conns)
}
