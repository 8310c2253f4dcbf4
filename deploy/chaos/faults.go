package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

// injected is a fault as it happened.
type injected struct {
	fault
	victim     string
	begun      time.Time
	healed     time.Time
	member     string                     // of a collector: its member id
	partitions map[events.Partition]int64 // of a collector: the partitions that it owned when the fault began, with its tokens
	err        error
}

// injector carries out a schedule.
type injector struct {
	c        *cluster
	observer *observer
	ledger   *ledger
	upgrade  *upgrade // nil without one
	say      func(format string, args ...any)

	tracks map[string]*sync.Mutex // a stop may take longer than planned; the next fault of its track waits

	mu   sync.Mutex
	done []*injected
}

func newInjector(c *cluster, o *observer, l *ledger, u *upgrade, say func(string, ...any)) *injector {
	in := &injector{c: c, observer: o, ledger: l, upgrade: u, say: say, tracks: map[string]*sync.Mutex{}}
	for _, t := range faultTracks(time.Second) {
		in.tracks[t.name] = new(sync.Mutex)
	}
	return in
}

// runSchedule injects every fault at its time and waits until all are healed.
func (in *injector) runSchedule(ctx context.Context, plan []fault) {
	var wg sync.WaitGroup
	defer wg.Wait()
	start := time.Now()
	var exchanges, others []fault
	for _, f := range plan {
		if f.track == upgradeTrack {
			exchanges = append(exchanges, f)
		} else {
			others = append(others, f)
		}
	}
	ofDaemons, ofMembers := splitUpgrade(exchanges)
	wg.Go(func() { in.runUpgrade(ctx, ofDaemons, start) })
	wg.Go(func() { in.runUpgrade(ctx, ofMembers, start) })
	for _, f := range others {
		if !wait.Sleep(ctx, f.at-time.Since(start)) {
			return
		}
		wg.Go(func() { in.injectFault(ctx, f) })
	}
}

func (in *injector) injectFault(ctx context.Context, f fault) {
	in.tracks[f.track].Lock()
	defer in.tracks[f.track].Unlock()
	i := &injected{fault: f, begun: time.Now()}
	heal := in.beginFault(ctx, i)
	in.say("%s: %s for %s", f.kind, i.victim, f.lasts)
	wait.Sleep(ctx, f.lasts) // heal in any case
	i.err = heal()
	i.healed = time.Now()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.done = append(in.done, i)
	if i.err != nil {
		in.say("%s: %s: %v", f.kind, i.victim, i.err)
	}
}

// beginFault breaks something and returns how to mend it.
func (in *injector) beginFault(ctx context.Context, i *injected) (heal func() error) {
	switch track, how, _ := strings.Cut(i.kind, " "); track {
	case "etcd":
		p := in.c.etcd[in.pickMember(ctx, i.target)]
		i.victim = p.name
		heal := breakProcess(p, how)
		return func() error { _ = heal(); return p.running() } // etcd, asked to stop, ends by the signal itself
	case "ingestd", "collectd", "queryd":
		d := in.c.processesOf(track)[i.target]
		i.victim = d.name
		in.recordFault(i, d)
		if how == "isolated, then killed" {
			return isolateAndKill(ctx, d)
		}
		return breakProcess(d.process, how)
	case "compaction":
		i.victim = "etcd"
		return func() error { return in.compactHistory(ctx) }
	}
	d := in.c.daemons[i.target]
	i.victim = d.name
	in.recordFault(i, d)
	return breakNetwork(d, i.fault)
}

// breakProcess applies the fault of a name to a process.
func breakProcess(p *process, how string) (heal func() error) {
	switch {
	case strings.Contains(how, "killed"):
		p.kill()
		return p.startProcess
	case strings.Contains(how, "frozen"):
		p.freeze()
		return func() error { p.thaw(); return nil }
	}
	err := p.stopProcess()
	return func() error {
		if started := p.startProcess(); started != nil {
			return started
		}
		return err
	}
}

// isolateAndKill lets a daemon go on for a while as if etcd answered, and then takes it away together with all that it
// has sent since: a promise made meanwhile was broken.
func isolateAndKill(ctx context.Context, d *daemon) (heal func() error) {
	for _, p := range d.proxies {
		p.setMode(weather{hole: true})
	}
	wait.Sleep(ctx, time.Second) // heal in any case
	d.kill()
	for _, p := range d.proxies {
		p.setMode(weather{cut: true})
	}
	return func() error {
		for _, p := range d.proxies {
			p.setMode(weather{})
		}
		return d.startProcess()
	}
}

// breakNetwork changes the weather between a daemon and etcd.
func breakNetwork(d *daemon, f fault) (heal func() error) {
	hit, w := d.proxies, weather{hole: true}
	switch f.kind {
	case "one member black-holed":
		hit = hit[f.target%len(hit):][:1]
	case "connections cut":
		w = weather{cut: true}
	case "connections slow":
		w = weather{delay: 60 * time.Millisecond}
	}
	for _, p := range hit {
		p.setMode(w)
	}
	return func() error {
		for _, p := range hit {
			p.setMode(weather{})
		}
		return nil
	}
}

// recordFault records the partitions that a collector owns as its fault begins.
func (in *injector) recordFault(i *injected, d *daemon) {
	if d.kind != "collectd" {
		return
	}
	text, err := os.ReadFile(filepath.Join(d.dir, "member"))
	if err != nil {
		i.err = fmt.Errorf("asking %s who it is: %w", d.name, err)
		return
	}
	i.member = strings.TrimSpace(string(text))
	i.partitions = map[events.Partition]int64{}
	for p, o := range ownersAt(in.observer.copyState().owners, -1) {
		if o.member == i.member {
			i.partitions[p] = o.token
		}
	}
}

// pickMember returns the index of a member of etcd; for leader of the one that leads now.
func (in *injector) pickMember(ctx context.Context, target int) int {
	if target != leader {
		return target
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for i, address := range in.c.clients {
		if s, err := in.c.client.Status(ctx, in.c.secrets.scheme()+address); err == nil && s.Leader == s.Header.GetMemberId() {
			return i
		}
	}
	return 0
}

// compactHistory makes etcd forget all history that the observer has seen.
func (in *injector) compactHistory(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if rev := in.observer.currentPosition(); rev > 1 {
		if _, err := in.c.client.Compact(ctx, rev, clientv3.WithCompactPhysical()); err != nil && !strings.Contains(err.Error(), "compacted") {
			return fmt.Errorf("compacting to %d: %w", rev, err)
		}
	}
	return nil
}
