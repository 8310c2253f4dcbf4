package socket

import "sync"

// registry knows the connections and bounds their number.
type registry struct {
	max, perIP int
	idle       chan struct{} // closed when stopped and empty

	mu      sync.Mutex
	conns   map[*conn]struct{}
	byIP    map[string]int
	stopped bool
}

func newRegistry(limit, perIP int) registry {
	return registry{max: limit, perIP: perIP, idle: make(chan struct{}), conns: map[*conn]struct{}{}, byIP: map[string]int{}}
}

// refusal is why there is no room; "" when there is.
type refusal string

const (
	stopping  refusal = "stopping"
	tooMany   refusal = "limit"
	tooManyIP refusal = "per_ip"
)

// checkRoom tells whether one more connection from ip may come.
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

// addConn takes a connection in; the caller removes it.
func (r *registry) addConn(c *conn) refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := r.roomLocked(c.ip); why != "" {
		return why
	}
	r.conns[c] = struct{}{}
	r.byIP[c.ip]++
	return ""
}

func (r *registry) removeConn(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
	if r.byIP[c.ip]--; r.byIP[c.ip] == 0 {
		delete(r.byIP, c.ip)
	}
	if r.stopped && len(r.conns) == 0 {
		close(r.idle)
	}
}

func (r *registry) connCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// stopAccepting takes no more connections and closes those there are. It tells how many that were. Again, it does
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

// cutAll ends what is left without a word, and tells how many that were.
func (r *registry) cutAll() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.cutOff()
	}
	return len(r.conns)
}
