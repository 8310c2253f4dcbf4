package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
)

// settings are what a run is told.
type settings struct {
	duration time.Duration
	seed     uint64
	ttl      time.Duration
	only     []string // tracks of faults; none means all
}

// String is the flags that make the same schedule again.
func (s settings) String() string {
	flags := fmt.Sprintf("-seed %d -duration %s -lease-ttl %s", s.seed, s.duration, s.ttl)
	if len(s.only) > 0 {
		flags += " -only " + strings.Join(s.only, ",")
	}
	return flags
}

// outcome is everything that a run saw, and what was made of it.
type outcome struct {
	settings
	begun, faulty, healed time.Time // start of the workload; end of the faults; everything healed
	plan                  []fault
	faults                []*injected
	ledger                *ledger
	readers               []*reader
	subscribers           []*subscriber
	seen                  observed
	saves                 []save
	ends                  []end
	settled               settled
	verdicts              []verdict
}

// patience is how long after the last fault uploads may take to be acknowledged, and the cluster to come to rest.
const patience = 60 * time.Second

// run carries out a whole run in dir. An error means that the run itself failed; what the cluster did is in the outcome.
func run(ctx context.Context, dir string, set settings, say func(string, ...any)) (*outcome, error) {
	out := &outcome{settings: set, ledger: newLedger(), plan: schedule(set.seed, set.duration, set.ttl, set.only...)}
	out.settled.visible = map[string]time.Duration{}
	say("building")
	if err := buildAll(ctx, dir); err != nil {
		return out, err
	}
	c, err := openCluster(dir, set.ttl)
	if err != nil {
		return out, err
	}
	closed := false
	defer func() {
		if !closed {
			_ = c.close() // there is a graver error to tell
		}
	}()
	say("starting %d members of etcd and %d daemons in %s", members, daemons, dir)
	if err := c.start(ctx); err != nil {
		return out, err
	}
	if err := out.exercise(ctx, c, say); err != nil {
		return out, err
	}
	out.ends = c.unexpected()
	stopped := verdict{promise: "every daemon that is told to stop does so in order", how: "exit codes at the end of the run", checked: daemons}
	closed = true
	if err := c.stop(); err != nil {
		stopped.fail("%v", err)
	}
	out.verdicts = append(out.verdicts, stopped, out.checkProcesses(dir))
	return out, nil
}

// exercise runs the workload and the faults, lets everything heal, and looks.
func (out *outcome) exercise(ctx context.Context, c *cluster, say func(string, ...any)) error {
	o, err := newObserver(c.client)
	if err != nil {
		return err
	}
	var watching sync.WaitGroup
	watch, unwatch := context.WithCancel(ctx)
	defer watching.Wait()
	defer unwatch()
	watching.Go(func() { o.run(watch) })
	out.subscribers, out.readers = newSubscribers(c.bases("queryd")), newReaders(c)
	for _, s := range out.subscribers {
		watching.Go(func() { s.run(watch) })
	}
	for _, r := range out.readers {
		watching.Go(func() { r.run(watch) })
	}
	if err := out.disturb(ctx, c, o, say); err != nil {
		return err
	}
	head, err := out.settle(ctx, c, o, say)
	if err != nil {
		out.settled.err = err
		say("not at rest: %v", err)
	}
	unwatch()
	watching.Wait()
	out.seen = o.snapshot()
	for _, d := range c.of("collectd") {
		out.saves = append(out.saves, d.tap.all()...)
	}
	say("checking")
	return out.check(ctx, c, head)
}

// disturb sends uploads while the schedule runs, and then lets those under way come to an end.
func (out *outcome) disturb(ctx context.Context, c *cluster, o *observer, say func(string, ...any)) error {
	out.begun = time.Now()
	sending, stop := context.WithCancel(ctx)
	defer stop()
	finishing, give := context.WithCancel(ctx)
	defer give()
	var uploads sync.WaitGroup
	uploads.Go(func() {
		newUploader(c.bases("ingestd"), c.bases("queryd"), out.ledger).run(sending, finishing, newWorkload(out.seed))
	})
	in := newInjector(c, o, say)
	in.run(ctx, out.plan)
	if err := sleep(ctx, out.duration-time.Since(out.begun)); ctx.Err() != nil {
		return err
	}
	stop()
	out.healed, out.faults = time.Now(), in.done
	for _, f := range in.done {
		if f.healed.After(out.faulty) {
			out.faulty = f.healed
		}
	}
	say("everything is healed; waiting for the last uploads")
	timer := time.AfterFunc(patience, give)
	defer timer.Stop()
	uploads.Wait()
	return ctx.Err()
}

// settle waits until all is well again and gives the head of the log.
func (out *outcome) settle(ctx context.Context, c *cluster, o *observer, say func(string, ...any)) (events.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var head events.Revision
	var err error
	if out.settled.owners, err = awaitOwners(ctx, o, out.faulty); err != nil {
		return head, err
	}
	if err := c.ready(ctx); err != nil {
		return head, err
	}
	log, err := c.openLog(ctx)
	if err != nil {
		return head, err
	}
	defer log.Close()
	if head, err = log.Head(ctx); err != nil {
		return head, err
	}
	for _, d := range c.of("queryd") {
		late := func(err error) {
			s := o.snapshot()
			say("%s has not everything yet: %v; %s; %s", d.name, err, lagging(&s), c.portrait(d))
		}
		if err := awaitVisible(ctx, d.base, head, late); err != nil {
			return head, err
		}
		out.settled.visible[d.name] = time.Since(out.faulty)
	}
	if head, err = log.Head(ctx); err != nil { // with the projections of what was just waited for
		return head, err
	}
	say("at rest; head is %d", head.Number)
	if err := o.await(ctx, head.Number); err != nil {
		return head, err
	}
	return head, awaitSubscribers(ctx, out.subscribers, head.Number)
}

// openLog opens the log past the proxies.
func (c *cluster) openLog(ctx context.Context) (*events.Log, error) {
	return events.Open(ctx, c.config(), slog.New(slog.DiscardHandler))
}

func (c *cluster) config() events.Config {
	cfg := events.Config{Endpoints: strings.Join(c.clients, ","), Partitions: partitions}
	cfg.Root, cfg.ClusterID = events.DefaultRoot, events.DefaultClusterID
	return cfg
}

// store opens the stored projections past the proxies.
func (c *cluster) store(log *events.Log) *snapshot.Store {
	return snapshot.New(c.client, c.config(), log.Facts(), nil)
}

func (c *cluster) unexpected() []end {
	var all []end
	for _, d := range c.daemons {
		all = append(all, d.unexpected()...)
	}
	for _, p := range c.etcd {
		all = append(all, p.unexpected()...)
	}
	return all
}

// checkProcesses holds that no process crashed.
func (out *outcome) checkProcesses(dir string) verdict {
	v := verdict{promise: "no process panics, and none ends by itself once it has found etcd", how: "exits that nobody asked for, and the logs of all processes"}
	for _, e := range out.ends {
		v.checked++
		if text, err := os.ReadFile(e.log); err != nil || !strings.Contains(string(text), "gave no answer within") {
			v.fail("%s ended by itself after %s: %s (%s)", e.name, e.ran, e.how, e.log)
		}
	}
	logs, err := os.ReadDir(dir + "/logs")
	if err != nil {
		v.fail("reading the logs: %v", err)
	}
	for _, f := range logs {
		v.checked++
		text, err := os.ReadFile(dir + "/logs/" + f.Name())
		if err != nil {
			v.fail("reading a log: %v", err)
		}
		for _, sign := range []string{"panic:", "panicked", "fatal error:", "DATA RACE"} {
			if i := strings.Index(string(text), sign); i >= 0 {
				v.fail("%s: %.300s", f.Name(), fmt.Sprintf("%q", text[i:min(len(text), i+250)]))
			}
		}
	}
	return v
}
