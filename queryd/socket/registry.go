package socket

import "sync"

// registry holds the connections and bounds their number.
type registry struct {
	max, perIP int
	idle       chan struct{} // closed when stopped and empty

	mu      sync.Mutex
	conns   map[*conn]struct{}
	byIP    map[string]int
	callers map[string]int   // connections of each principal
	keys    map[*conn]string // in callers
	stopped bool
}

func newRegistry(limit, perIP int) registry {
	return registry{max: limit, perIP: perIP, idle: make(chan struct{}), conns: map[*conn]struct{}{}, byIP: map[string]int{}, callers: map[string]int{}, keys: map[*conn]string{}}
}

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
	if key, known := r.keys[c]; known {
		delete(r.keys, c)
		if r.callers[key]--; r.callers[key] == 0 {
			delete(r.callers, key)
		}
	}
	if r.stopped && len(r.conns) == 0 {
		close(r.idle)
	}
}

// countCaller counts a connection for its principal, and returns false if that has too many.
func (r *registry) countCaller(c *conn, key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.callers[key] >= r.perIP {
		return false
	}
	r.callers[key]++
	r.keys[c] = key
	return true
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
