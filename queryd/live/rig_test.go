package live_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

const (
	g1 projections.Generation = "g1"
	g2 projections.Generation = "g2"

	util = "DCGM_FI_DEV_GPU_UTIL"
	temp = "DCGM_FI_DEV_GPU_TEMP"
)

// rig is a hub on stored projections in memory, running inside a synctest bubble.
type rig struct {
	*testing.T
	src   *livetest.Source
	fleet *livetest.Fleet
	hub   *live.Hub
	clock events.Timestamp // of records
}

// inBubble runs a test with a rig whose generation g1 is active, and stops the hub at the end.
func inBubble(t *testing.T, cfg live.Config, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		facts := livetest.Facts()
		r := &rig{T: t, src: livetest.New(facts), fleet: livetest.NewFleet(facts), clock: 1000}
		hub, err := live.New(cfg, r.src, nil, facts, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.hub = hub
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		test(r)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// start activates g1 and waits until the view is current.
func (r *rig) start() *rig {
	r.Helper()
	r.src.Activate(g1)
	synctest.Wait()
	if err := r.hub.Ready(); err != nil {
		r.Fatalf("not ready after the first load: %v", err)
	}
	return r
}

// set stores a new utilization of a GPU, one second of record time later.
func (r *rig) set(host events.HostID, uuid string, index int, value int64) events.Revision {
	r.clock += events.Timestamp(time.Second)
	return r.src.Store(g1, r.fleet.Report(livetest.Reading{Host: host, UUID: uuid, Index: index, Metric: util, At: r.clock, Value: value}))
}

func (r *rig) subscribe(o live.Options) *live.Subscription {
	r.Helper()
	sub, err := r.hub.Subscribe(o)
	if err != nil {
		r.Fatalf("Subscribe(%+v): %v", o, err)
	}
	return sub
}

// all returns the present messages of a subscription, in order.
func (r *rig) all(sub *live.Subscription) []*live.Message {
	r.Helper()
	synctest.Wait()
	var out []*live.Message
	for {
		m, err := sub.Poll()
		if err != nil {
			r.Fatalf("Poll: %v", err)
		}
		if m == nil {
			return out
		}
		out = append(out, m)
	}
}

// begin reads a subscription until it is synced.
func (r *rig) begin(sub *live.Subscription) live.Token {
	r.Helper()
	all := r.all(sub)
	if len(all) == 0 || all[len(all)-1].Kind != live.Synced {
		r.Fatalf("got %s, want a beginning that ends with synced", brief(all))
	}
	return all[len(all)-1].Token
}

// expect compares the present messages of a subscription with their short form.
func (r *rig) expect(sub *live.Subscription, want ...string) []*live.Message {
	r.Helper()
	all := r.all(sub)
	if got := brief(all); got != strings.Join(want, " | ") {
		r.Errorf("got messages\n %s\nwant\n %s", got, strings.Join(want, " | "))
	}
	return all
}

// brief writes messages as "upd h1/GPU-a:DCGM_FI_DEV_GPU_UTIL=5 -GPU-b".
func brief(all []*live.Message) string {
	var out []string
	for _, m := range all {
		words := []string{string(m.Kind)}
		for _, id := range m.Removed {
			words = append(words, "-"+string(id))
		}
		for _, item := range m.Items {
			words = append(words, briefItem(item))
		}
		if m.Reason != "" {
			words = append(words, m.Reason)
		}
		if m.Resumed {
			words = append(words, "resumed")
		}
		out = append(out, strings.Join(words, " "))
	}
	return strings.Join(out, " | ")
}

func briefItem(i live.Item) string {
	name := string(i.Host) + "/" + string(i.GPU)
	if i.Part != "" {
		name += "/" + i.Part
	}
	var values []string
	for _, l := range i.Readings {
		value := l.Value.Number.String()
		if l.Value.Absent != events.Present {
			value = l.Value.Absent.String()
		}
		values = append(values, strings.TrimPrefix(l.Metric, "DCGM_FI_DEV_GPU_")+"="+value)
	}
	return name + ":" + strings.Join(values, ",")
}

// kinds returns the kinds of messages.
func kinds(all []*live.Message) []live.Kind {
	var out []live.Kind
	for _, m := range all {
		out = append(out, m.Kind)
	}
	return out
}

// mirror is the state of a client that applies its messages.
type mirror map[events.GPUID]map[string]map[string]projections.Latest // by GPU, part, metric

// apply applies a message.
func (m mirror) apply(msg *live.Message) {
	if msg.Kind == live.Reset {
		clear(m)
	}
	for _, id := range msg.Removed {
		delete(m, id)
	}
	for _, item := range msg.Items {
		if m[item.GPU] == nil {
			m[item.GPU] = map[string]map[string]projections.Latest{}
		}
		if m[item.GPU][item.Part] == nil {
			m[item.GPU][item.Part] = map[string]projections.Latest{}
		}
		for _, l := range item.Readings {
			m[item.GPU][item.Part][l.Metric] = l
		}
	}
}

// mirrorOf returns the state that a client with a filter must have at a State.
func mirrorOf(s *live.State, f live.Filter) mirror {
	out := mirror{}
	for _, g := range s.GPUs() {
		if len(f.GPUs) > 0 && !slices.ContainsFunc(f.GPUs, func(id events.GPUID) bool { return slices.Contains(s.NamedGPUs(id), g) }) || len(f.Hosts) > 0 && !slices.ContainsFunc(f.Hosts, func(p string) bool { return matches(p, string(g.Host)) }) {
			continue
		}
		out.add(g.ID, "", g.Latest, f)
		for _, p := range g.Parts {
			out.add(g.ID, p.Name, p.Latest, f)
		}
	}
	return out
}

func (m mirror) add(id events.GPUID, part string, latest []projections.Latest, f live.Filter) {
	msg := &live.Message{Items: []live.Item{{GPU: id, Part: part}}}
	for _, l := range latest {
		if len(f.Metrics) == 0 || slices.Contains(f.Metrics, l.Metric) {
			msg.Items[0].Readings = append(msg.Items[0].Readings, l)
		}
	}
	if len(msg.Items[0].Readings) > 0 {
		m.apply(msg)
	}
}

// matches reports whether a name matches a glob of the forms in these tests: a name, or a prefix and '*'.
func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

var errDown = errors.New("etcd is away")
