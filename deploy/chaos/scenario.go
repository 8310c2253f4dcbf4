package main

import (
	"context"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

// runScenario runs the workload and the faults, lets everything heal, and looks.
func (out *observations) runScenario(ctx context.Context, c *cluster, say func(string, ...any)) error {
	o, err := newObserver(c.client)
	if err != nil {
		return err
	}
	var watching sync.WaitGroup
	watch, unwatch := context.WithCancel(ctx)
	defer watching.Wait()
	defer unwatch()
	watching.Go(func() { o.watchKeys(watch) })
	out.subscribers, out.readers = newSubscribers(c), newReaders(c)
	for _, s := range out.subscribers {
		watching.Go(func() { s.followUpdates(watch) })
	}
	for _, r := range out.readers {
		watching.Go(func() { r.readAnswers(watch) })
	}
	out.strangers = newStrangers(c)
	for _, s := range out.strangers {
		watching.Go(func() { s.askAgain(watch) })
	}
	if err := out.injectFaults(ctx, c, o, say); err != nil {
		return err
	}
	head, err := out.quiesce(ctx, c, o, say)
	if err != nil {
		out.recovery.err = err
		say("not at rest: %v", err)
	}
	if out.upgrade != nil {
		out.upgrade.comparing.Wait()
	}
	unwatch()
	watching.Wait()
	out.seen = o.copyState()
	for _, d := range c.processesOf("collectd") {
		out.saves = append(out.saves, d.tap.allConnections()...)
	}
	say("checking")
	return out.checkPromises(ctx, c, head)
}

// injectFaults sends uploads while the schedule runs, and then lets those under way come to an end.
func (out *observations) injectFaults(ctx context.Context, c *cluster, o *observer, say func(string, ...any)) error {
	out.begun = time.Now()
	sending, stop := context.WithCancel(ctx)
	defer stop()
	finishing, give := context.WithCancel(ctx)
	defer give()
	var uploads sync.WaitGroup
	uploads.Go(func() {
		newUploader(c, out.ledger).uploadFiles(sending, finishing, newWorkload(out.seed))
	})
	in := newInjector(c, o, out.ledger, out.upgrade, say)
	in.runSchedule(ctx, out.plan)
	if !wait.Sleep(ctx, out.duration-time.Since(out.begun)) {
		return ctx.Err()
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

// quiesce waits until all is well again and returns the head of the log.
func (out *observations) quiesce(ctx context.Context, c *cluster, o *observer, say func(string, ...any)) (events.Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var head events.Revision
	var err error
	if out.recovery.owners, err = awaitOwners(ctx, o, out.faulty); err != nil {
		return head, err
	}
	if err := c.awaitReady(ctx); err != nil {
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
	for _, d := range c.processesOf("queryd") {
		late := func(err error) {
			s := o.copyState()
			say("%s has not everything yet: %v; %s; %s", d.name, err, readDelays(&s), c.describeState(d))
		}
		if err := awaitVisible(ctx, c.secrets.newClient("read", 12*time.Second), d.base, head, late); err != nil {
			return head, err
		}
		out.recovery.visible[d.name] = time.Since(out.faulty)
	}
	if head, err = log.Head(ctx); err != nil { // with the projections up to the position that was just awaited
		return head, err
	}
	say("at rest; head is %d", head.Number)
	if err := o.awaitPosition(ctx, head.Number); err != nil {
		return head, err
	}
	return head, awaitSubscribers(ctx, out.subscribers, head.Number)
}
