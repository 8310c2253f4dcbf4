package live_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

// TestClientsEndEqualToTheView lets clients with any filter, mode, rate and connection follow a fleet through random
// changes. In every case a client that applies its messages ends with exactly the part of the view that its filter
// selects, and the view equals a fresh load.
func TestClientsEndEqualToTheView(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, live.Config{Heartbeat: 700 * time.Millisecond, QueueBytes: 3000, Ring: 30}, func(r *rig) {
				c := &chaos{rig: r, rand: rand.New(rand.NewPCG(seed, 1)), active: g1}
				for range 5 {
					c.report()
				}
				r.start()
				for range 12 {
					c.clients = append(c.clients, c.newClient())
				}
				for range 300 {
					c.step()
				}
				c.quiesce()
			})
		})
	}
}

type chaos struct {
	*rig
	rand     *rand.Rand
	active   projections.Generation
	switches int
	clients  []*client
}

// client follows the view, and remembers its state between connections.
type client struct {
	options live.Options
	sub     *live.Subscription
	knows   mirror
	at      int64 // position of its last token
}

func (c *chaos) newClient() *client {
	f := [...]live.Filter{
		{}, {Hosts: []string{"h1"}}, {Hosts: []string{"h*"}}, {Hosts: []string{"h1", "g2"}}, {GPUs: []events.GPUID{"GPU-1", "GPU-4", "GPU-none"}},
		{Metrics: []string{temp}}, {Hosts: []string{"g*"}, Metrics: []string{util}}, {GPUs: []events.GPUID{"GPU-2"}, Hosts: []string{"h*"}},
		{GPUs: []events.GPUID{"h1:2"}}, {GPUs: []events.GPUID{"h1:0", "h1:1", "g2:3", "GPU-3"}}, {GPUs: []events.GPUID{"h2:1"}, Metrics: []string{util}},
	}[c.rand.IntN(11)]
	mode := bothModes[c.rand.IntN(2)]
	return c.connect(&client{options: live.Options{Filter: f, Mode: mode, Hz: []float64{0.5, 4, 20}[c.rand.IntN(3)], Snapshot: true}, knows: mirror{}})
}

func (c *chaos) connect(cl *client) *client {
	cl.sub = c.subscribe(cl.options)
	return cl
}

// report stores readings of some GPUs of a host: known and new ones, now and then late ones or ones by index alone, on any host.
func (c *chaos) report() {
	host := events.HostID([]string{"h1", "h2", "h3", "g1", "g2"}[c.rand.IntN(5)])
	var all []livetest.Reading
	if c.rand.IntN(4) == 0 { // long enough for a GPU to have moved
		c.clock += events.Timestamp(c.rand.Int64N(int64(90 * time.Minute)))
	}
	for range 1 + c.rand.IntN(3) {
		c.clock++
		n := c.rand.IntN(6)
		reading := livetest.Reading{Host: host, UUID: fmt.Sprintf("GPU-%d", n), Index: n, Metric: []string{util, temp}[c.rand.IntN(2)],
			At: c.clock - events.Timestamp(c.rand.IntN(2)*c.rand.IntN(50)), Value: c.rand.Int64N(3)}
		if c.rand.IntN(5) == 0 {
			reading.Index = c.rand.IntN(6) // moved to another slot
		}
		if c.rand.IntN(5) == 0 {
			reading.UUID = "" // by index alone
		}
		if c.rand.IntN(4) == 0 {
			reading.Part = fmt.Sprintf("mig:%d", c.rand.IntN(3))
		}
		all = append(all, reading)
	}
	c.src.Store(c.active, c.fleet.Report(all...))
}

func (c *chaos) step() {
	switch n := c.rand.IntN(100); {
	case n < 45:
		c.report()
	case n < 48 && len(c.fleet.Hosts()) > 0:
		hosts := c.fleet.Hosts()
		c.src.Store(c.active, c.fleet.Remove(hosts[c.rand.IntN(len(hosts))]))
	case n < 50:
		c.src.Break([]error{events.ErrCompacted, events.ErrOverflow, errDown}[c.rand.IntN(3)])
	case n < 52:
		c.src.Fail(errDown)
		time.Sleep(time.Duration(c.rand.IntN(3000)) * time.Millisecond)
		c.src.Fail(nil)
	case n < 54:
		c.switchGeneration()
	case n < 65:
		time.Sleep(time.Duration(c.rand.IntN(300)) * time.Millisecond)
	case n < 70:
		synctest.Wait()
	case n < 75:
		cl := c.clients[c.rand.IntN(len(c.clients))]
		cl.sub.Close()
		if c.rand.IntN(4) == 0 {
			cl.options.From, cl.at, cl.knows = "", 0, mirror{}
		}
		c.connect(cl)
	default:
		c.read(c.clients[c.rand.IntN(len(c.clients))], c.rand.IntN(4))
	}
}

// switchGeneration activates another generation, in which some hosts are missing, or the previous one.
func (c *chaos) switchGeneration() {
	c.switches++
	next := projections.Generation(fmt.Sprintf("s%d", c.switches))
	for _, h := range c.fleet.Hosts() {
		if c.rand.IntN(5) == 0 {
			c.fleet.Remove(h)
			continue
		}
		c.src.Store(next, c.fleet.Stored(h))
	}
	c.src.Activate(next)
	c.active = next
}

// read delivers some messages to a client, and reconnects it if it was too slow.
func (c *chaos) read(cl *client, most int) (n int) {
	for ; n < most; n++ {
		m, err := cl.sub.Poll()
		if errors.Is(err, live.ErrSlow) {
			c.connect(cl)
			continue
		}
		if err != nil {
			c.Fatalf("Poll: %v", err)
		}
		if m == nil {
			break
		}
		cl.knows.apply(m)
		if m.Token != "" {
			if m.At.Number < cl.at {
				c.Errorf("%s at %d after a message at %d: went back", m.Kind, m.At.Number, cl.at)
			}
			cl.options.From, cl.at = m.Token, m.At.Number
		}
	}
	return n
}

// quiesce lets everything arrive and compares.
func (c *chaos) quiesce() {
	time.Sleep(time.Minute)
	synctest.Wait()
	for i, cl := range c.clients {
		for c.read(cl, 1000) > 0 {
			synctest.Wait()
		}
		if diff := cmp.Diff(mirrorOf(c.hub.State(), cl.options.Filter), cl.knows); diff != "" {
			c.Errorf("client %d (%+v) differs from the view (-view +client):\n%s", i, cl.options, diff)
		}
	}
	fresh := c.another(livetest.Facts()).State()
	if diff := cmp.Diff(fresh.GPUs(), c.hub.State().GPUs(), cmpopts.EquateEmpty()); diff != "" {
		c.Errorf("view differs from a fresh one (-fresh +view):\n%s", diff)
	}
	if diff := cmp.Diff(hostsOf(fresh), hostsOf(c.hub.State())); diff != "" {
		c.Errorf("hosts differ from fresh ones (-fresh +view):\n%s", diff)
	}
}

// hostsOf writes the hosts with their GPUs.
func hostsOf(s *live.State) []string {
	var out []string
	for _, h := range s.Hosts() {
		line := fmt.Sprintf("%s p%d %v-%v", h.ID, h.Partition, h.FirstSeen, h.LastSeen)
		for _, g := range h.GPUs {
			line += " " + string(g.ID)
		}
		out = append(out, line)
	}
	return out
}
