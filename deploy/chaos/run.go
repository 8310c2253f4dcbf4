package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// settings are the parameters of a run.
type settings struct {
	duration time.Duration
	seed     uint64
	ttl      time.Duration
	access   bool     // with TLS, tokens, and users of etcd
	previous string   // commit of the release that the run begins with; "" leaves the rolling upgrade out
	only     []string // tracks of faults; none means all
}

// String is the flags that make the same schedule again.
func (s settings) String() string {
	flags := fmt.Sprintf("-seed %d -duration %s -lease-ttl %s", s.seed, s.duration, s.ttl)
	if !s.access {
		flags += " -access=false"
	}
	if s.previous != previousRelease {
		flags += fmt.Sprintf(" -previous=%q", s.previous)
	}
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
	upgrade               *upgrade   // nil without one
	noUpgrade             string     // the reason
	directory             *directory // nil without an upgrade
	ledger                *ledger
	readers               []*reader
	subscribers           []*subscriber
	strangers             []*stranger // none without access
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
	out := &observations{settings: set, ledger: newLedger()}
	out.recovery.visible = map[string]time.Duration{}
	c, err := out.prepare(ctx, dir, say)
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
	var turns sync.WaitGroup
	defer turns.Wait()
	using, stop := context.WithCancel(ctx)
	defer stop()
	if out.directory != nil {
		turns.Go(func() { out.directory.useInTurn(using, set.seed) })
	}
	if err := out.runScenario(ctx, c, say); err != nil {
		return out, err
	}
	turns.Wait()
	out.ends = c.unexpected()
	stopped := verdict{promise: "every daemon that is asked to stop does so in order", how: "exit codes at the end of the run", checked: daemons}
	closed = true
	if err := c.stopAll(); err != nil {
		stopped.addFailure("%v", err)
	}
	out.verdicts = append(out.verdicts, stopped, out.checkProcesses(dir))
	if out.upgrade != nil {
		out.verdicts = append(out.verdicts, out.upgrade.exchanged, out.upgrade.compared, out.directory.verdict())
	}
	return out, nil
}

// prepare builds the programs, plans the faults and lays the cluster out.
func (out *observations) prepare(ctx context.Context, dir string, say func(string, ...any)) (*cluster, error) {
	first, present, err := out.buildReleases(ctx, dir, say)
	if err != nil {
		return nil, err
	}
	var exchanges []fault
	if out.noUpgrade == "" {
		exchanges, out.upgrade = planUpgrade(out.seed, out.duration), newUpgrade(first, present)
		if out.directory, err = newDirectory(dir, first, present); err != nil {
			return nil, err
		}
	}
	out.plan = planFaults(out.seed, out.duration, out.ttl, exchanges, out.only...)
	var sec *secrets
	if out.access {
		if sec, err = newSecrets(ctx, dir); err != nil {
			return nil, err
		}
	}
	return openCluster(dir, out.ttl, first, present, sec)
}

// buildReleases builds the release that daemons begin with, which is the present one where there is no upgrade, and the present one, in dir.
func (out *observations) buildReleases(ctx context.Context, dir string, say func(string, ...any)) (first, present release, err error) {
	if out.noUpgrade = out.reasonAgainstUpgrade(); out.noUpgrade != "" {
		say("no rolling upgrade: %s", out.noUpgrade)
	} else {
		say("building %s", out.previous)
		if first, err = buildPrevious(ctx, out.previous); err != nil {
			return first, present, err
		}
	}
	say("building")
	if err := buildAll(ctx, dir); err != nil {
		return first, present, err
	}
	present = release{dir: dir}
	if present.name, err = output(ctx, present.program("queryd"), "-version"); err != nil {
		return first, present, err
	}
	if out.noUpgrade != "" {
		first = present
	}
	return first, present, nil
}

// reasonAgainstUpgrade returns why the flags ask for no rolling upgrade, or "".
func (s settings) reasonAgainstUpgrade() string {
	switch {
	case s.previous == "":
		return "-previous names no commit"
	case len(s.only) > 0 && !slices.Contains(s.only, upgradeTrack):
		return "-only leaves it out"
	}
	return ""
}
