package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// settings are the parameters of a run.
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

// observations holds everything observed in a run, and the verdicts.
type observations struct {
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
	recovery              recovery
	verdicts              []verdict
}

// patience is how long after the last fault uploads may take to be acknowledged, and the cluster to come to rest.
const patience = 60 * time.Second

// runChaos carries out a whole run in dir. An error means that the run itself failed; the behaviour of the cluster is in the outcome.
func runChaos(ctx context.Context, dir string, set settings, say func(string, ...any)) (*observations, error) {
	out := &observations{settings: set, ledger: newLedger(), plan: planFaults(set.seed, set.duration, set.ttl, set.only...)}
	out.recovery.visible = map[string]time.Duration{}
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
			_ = c.closeAll() // there is a graver error to report
		}
	}()
	say("starting %d members of etcd and %d daemons in %s", members, daemons, dir)
	if err := c.startAll(ctx); err != nil {
		return out, err
	}
	if err := out.runScenario(ctx, c, say); err != nil {
		return out, err
	}
	out.ends = c.unexpected()
	stopped := verdict{promise: "every daemon that is asked to stop does so in order", how: "exit codes at the end of the run", checked: daemons}
	closed = true
	if err := c.stopAll(); err != nil {
		stopped.addFailure("%v", err)
	}
	out.verdicts = append(out.verdicts, stopped, out.checkProcesses(dir))
	return out, nil
}
