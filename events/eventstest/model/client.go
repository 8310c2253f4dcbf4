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

// Client is a process, or a machine, as etcd sees it: all that its Connect opens fails and stops together.
type Client struct {
	name string
	etcd *Etcd

	mu      sync.Mutex
	state   state
	changed chan struct{} // closed and replaced when something may be different
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
	dead            // it does nothing any more
)

// Call is one request of a client, for hooks.
type Call struct {
	Name  string // range, put, delete, txn, compact, grant, revoke, keepalive, status
	Write bool   // it may change keys
	Key   string // the first that it names
}

// Client makes a client of the cluster.
func (e *Etcd) Client(name string) *Client {
	c := &Client{name: name, etcd: e, changed: make(chan struct{})}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clients = append(e.clients, c)
	return c
}

// Connect opens an etcd client; it is made for eventlog.Config.Connect. Only what the model knows is there: the other parts of
// the client are nil. As with any client without a connection of its own, its Close gives context.Canceled.
func (c *Client) Connect(*slog.Logger) (*clientv3.Client, error) {
	const dialTimeout = 5 * time.Second
	client := clientv3.NewCtxClient(context.Background())
	client.KV = clientv3.NewKVFromKVClient(&kv{client: c}, client)
	client.Lease = clientv3.NewLeaseFromLeaseClient(&leaser{client: c}, client, dialTimeout+time.Second)
	client.Watcher = &watcher{client: c, closed: make(chan struct{})}
	client.Maintenance = clientv3.NewMaintenanceFromMaintenanceClient(&maintenance{client: c}, client)
	return client, nil
}

// Freeze stops the process: what it asks is not sent, what it is told does not arrive, and it does not even notice that
// time passes, until Thaw.
func (c *Client) Freeze() { c.setState(frozen) }

// Thaw lets a frozen process go on where it was.
func (c *Client) Thaw() { c.setState(connected) }

// Refuse makes calls fail at once, as when nobody listens. Watches wait.
func (c *Client) Refuse() { c.setState(refused) }

// Silence leaves calls without an answer, as a connection into a black hole. Watches wait.
func (c *Client) Silence() { c.setState(silent) }

// Reconnect ends Refuse and Silence. Watches go on from where they were.
func (c *Client) Reconnect() { c.setState(connected) }

// Kill ends the process: from now on nothing that it asks has an effect. Its leases live on until their time is over.
func (c *Client) Kill() { c.setState(dead) }

// setState changes the state, but nothing brings the dead back.
func (c *Client) setState(s state) {
	c.updateState(func() {
		if c.state != dead {
			c.state = s
		}
	})
}

// updateState changes something that others wait for.
func (c *Client) updateState(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Hook sets what is asked about each call, nil for nothing: before its effect (an error is the answer, and there is no effect), and
// after it (an error takes the place of the answer).
func (c *Client) Hook(before, after func(Call) error) {
	c.updateState(func() { c.before, c.after = before, after })
}

// SetLate says which calls lose their connection while they are on their way and yet take effect, that much later: after
// whoever made them has asked again or has given up, and even if it is dead by then. No time is no such call.
func (c *Client) SetLate(of func(Call) time.Duration) { c.updateState(func() { c.late = of }) }

// SetLatency says how long a request is on its way, and an answer. nil is no time.
func (c *Client) SetLatency(of func() time.Duration) { c.updateState(func() { c.latency = of }) }

// SetLag says how long it takes until a watch is told something. nil is no time.
func (c *Client) SetLag(of func() time.Duration) { c.updateState(func() { c.lag = of }) }

// Merge says whether a watch is told all that has gathered at once, or each revision apart.
func (c *Client) Merge(on bool) { c.updateState(func() { c.merge = on }) }

// Repeat has the next n things that watches are told told twice.
func (c *Client) Repeat(n int) { c.updateState(func() { c.repeat = n }) }

func (c *Client) currentState() (s state, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.changed
}

var (
	errRefused = status.Error(codes.Unavailable, "connection refused (the model of etcd was told so)")
	errBroken  = status.Error(codes.Unavailable, "error reading from server: EOF (the model of etcd was told so)")
	errDead    = status.Error(codes.Canceled, "this process is dead (the model of etcd was told so)")
)

// checkLink lets a call through to etcd, or an answer back. A frozen process does not even see its context end.
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

// awaitLink waits until etcd can be reached, whatever is in the way; false when there is no hope or no need any more.
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

// awaitDelay takes as long as a request or an answer does.
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

// callEtcd makes a request: on its way there and back anything can happen to it.
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
					do() // nobody is there to hear the answer
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

// sendOneWay is one way of a call. When etcd went down since it began, the connection is broken.
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
