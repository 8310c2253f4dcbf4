package model

import (
	"context"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Client is a process, or a machine, as etcd sees it: all connections that its Connect opens fail and stop together.
type Client struct {
	name string
	etcd *Etcd

	mu      sync.Mutex
	state   state
	changed chan struct{} // closed and replaced when the state of the client or of etcd changes
	before  func(Call) error
	after   func(Call) error
	late    func(Call) time.Duration
	latency func() time.Duration
	lag     func() time.Duration
	merge   bool
	repeat  int
}

// state is how a client is connected.
type state int

const (
	connected state = iota
	frozen          // it does nothing at all
	refused         // its calls fail at once
	silent          // its calls get no answer
	dead            // it does nothing for ever
)

// Call is one request of a client, for hooks.
type Call struct {
	Name  string // range, put, delete, txn, compact, grant, revoke, keepalive, status
	Write bool   // it may change keys
	Key   string // the first key of the request
}

// Client returns a new client of the cluster.
func (e *Etcd) Client(name string) *Client {
	c := &Client{name: name, etcd: e, changed: make(chan struct{})}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clients = append(e.clients, c)
	return c
}

// Connect returns an etcd client; it has the signature of eventlog.Config.Connect. The parts of the client that the model does
// not implement are nil. As with any client without a connection of its own, its Close returns context.Canceled.
func (c *Client) Connect(*slog.Logger) (*clientv3.Client, error) {
	const dialTimeout = 5 * time.Second
	client := clientv3.NewCtxClient(context.Background())
	client.KV = clientv3.NewKVFromKVClient(&kv{client: c}, client)
	client.Lease = clientv3.NewLeaseFromLeaseClient(&leaser{client: c}, client, dialTimeout+time.Second)
	client.Watcher = newWatcher(c)
	client.Maintenance = clientv3.NewMaintenanceFromMaintenanceClient(&maintenance{client: c}, client)
	return client, nil
}

// Freeze stops the process until Thaw: it sends no requests, receives no answers, and does not even notice the end of a
// deadline.
func (c *Client) Freeze() { c.setState(frozen) }

// Thaw resumes a frozen process where it stopped.
func (c *Client) Thaw() { c.setState(connected) }

// Refuse makes calls fail at once, as when no server listens. Watches wait.
func (c *Client) Refuse() { c.setState(refused) }

// Silence leaves calls without an answer, as a connection into a black hole does. Watches wait.
func (c *Client) Silence() { c.setState(silent) }

// Reconnect ends Refuse and Silence. Watches continue where they were.
func (c *Client) Reconnect() { c.setState(connected) }

// Kill ends the process: its requests have no effect from then on. Its leases live until they expire.
func (c *Client) Kill() { c.setState(dead) }

// setState changes the state. A dead client stays dead.
func (c *Client) setState(s state) {
	c.updateState(func() {
		if c.state != dead {
			c.state = s
		}
	})
}

// updateState calls change under the lock and wakes the calls and watches that wait for a change.
func (c *Client) updateState(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Hook sets hooks that run for each call: before its effect (an error is the answer, and there is no effect), and after it (an
// error replaces the answer). nil is no hook.
func (c *Client) Hook(before, after func(Call) error) {
	c.updateState(func() { c.before, c.after = before, after })
}

// SetLate sets the delay of calls that lose their connection on the way and yet take effect, after that delay: after the
// caller has repeated the call or abandoned it, and even if the client is dead by then. A call with delay 0 is not late.
func (c *Client) SetLate(of func(Call) time.Duration) { c.updateState(func() { c.late = of }) }

// SetLatency sets the latency of a request, and of an answer. nil is none.
func (c *Client) SetLatency(of func() time.Duration) { c.updateState(func() { c.latency = of }) }

// SetLag sets the delay of deliveries to watches. nil is none.
func (c *Client) SetLag(of func() time.Duration) { c.updateState(func() { c.lag = of }) }

// Merge sets whether a watch receives all pending revisions in one response, or each in its own.
func (c *Client) Merge(on bool) { c.updateState(func() { c.merge = on }) }

// Repeat makes the next n responses of watches arrive twice.
func (c *Client) Repeat(n int) { c.updateState(func() { c.repeat = n }) }

func (c *Client) currentState() (s state, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.changed
}

var (
	errRefused = status.Error(codes.Unavailable, "connection refused (a fault of the model of etcd)")
	errBroken  = status.Error(codes.Unavailable, "error reading from server: EOF (a fault of the model of etcd)")
	errDead    = status.Error(codes.Canceled, "this process is dead (a fault of the model of etcd)")
)

// checkLink returns nil when a request or an answer can pass the connection, and blocks while the client is frozen or silent.
// A frozen process does not even see its context end.
func (c *Client) checkLink(ctx context.Context) error {
	for {
		s, changed := c.currentState()
		switch s {
		case connected:
			if up, _ := c.etcd.runState(); !up {
				return errRefused
			}
			return nil
		case frozen:
			<-changed
		case refused:
			return errRefused
		case silent:
			select {
			case <-changed:
			case <-ctx.Done():
				return status.FromContextError(ctx.Err()).Err()
			}
		case dead:
			return errDead
		}
	}
}

// awaitLink waits until etcd can be reached. It reports false when the client is dead or the wait is no longer needed.
func (c *Client) awaitLink(ctx context.Context, closed <-chan struct{}) bool {
	for {
		s, changed := c.currentState()
		if up, _ := c.etcd.runState(); s == dead || s == connected && up {
			return s != dead
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		case <-closed:
			return false
		}
	}
}

// awaitDelay waits for the duration that the function of returns.
func (c *Client) awaitDelay(ctx context.Context, of func() time.Duration) error {
	if of == nil {
		return nil
	}
	d := of()
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// callEtcd makes a request, subject to the client's faults on the way there and back.
func callEtcd[R any](ctx context.Context, c *Client, what Call, do func() (R, error)) (R, error) {
	var none R
	if ctx.Err() != nil {
		return none, status.FromContextError(ctx.Err()).Err()
	}
	_, boots := c.etcd.runState()
	if err := c.sendOneWay(ctx, boots); err != nil {
		return none, err
	}
	c.mu.Lock()
	before, after, late := c.before, c.after, c.late
	c.mu.Unlock()
	if late != nil {
		if d := late(what); d > 0 {
			time.AfterFunc(d, func() {
				if up, _ := c.etcd.runState(); up {
					do() // the caller is gone, so the answer is dropped
				}
			})
			return none, errBroken
		}
	}
	if before != nil {
		if err := before(what); err != nil {
			return none, err
		}
	}
	resp, err := do()
	if err != nil {
		return none, err
	}
	if after != nil {
		if err := after(what); err != nil {
			return none, err
		}
	}
	if err := c.sendOneWay(ctx, boots); err != nil {
		return none, err
	}
	return resp, nil
}

// sendOneWay passes a request or an answer through the connection, which is broken if etcd went down since the call began.
func (c *Client) sendOneWay(ctx context.Context, boots int) error {
	if err := c.checkLink(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	latency := c.latency
	c.mu.Unlock()
	if err := c.awaitDelay(ctx, latency); err != nil {
		return err
	}
	if err := c.checkLink(ctx); err != nil {
		return err
	}
	if _, now := c.etcd.runState(); now != boots {
		return errBroken
	}
	return nil
}
