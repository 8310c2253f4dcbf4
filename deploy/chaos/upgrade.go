package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"telemetry-pipeline/events/wait"
)

// upgrade is how a rolling upgrade went. Safe for concurrent use.
type upgrade struct {
	previous, present release

	mu         sync.Mutex
	exchanged  verdict
	compared   verdict
	unanswered int            // comparisons that were not answered in time
	answers    map[string]int // to them, that had no data

	comparing sync.WaitGroup
}

// readyLimit is how long an exchanged process may take until it is ready; it may have to wait until the network is healed.
const readyLimit = 40 * time.Second

func newUpgrade(previous, present release) *upgrade {
	return &upgrade{previous: previous, present: present, answers: map[string]int{},
		exchanged: verdict{promise: "daemons of the previous and of the present release, and members of etcd, are exchanged one by one, forward, back and forward again",
			how: "each exchanged process is ready with the flags of the other release"},
		compared: verdict{promise: "while releases are mixed, every acknowledged record is queryable exactly once, with its exact value, and nothing else is",
			how: "after each group of exchanged processes, and between two queryd: all pages of /api/v1/telemetry, each page from the next queryd, against the uploads that were answered 200 before"}}
}

// runUpgrade carries out the exchanges of a plan, one after the other, and starts the comparisons, which may outlive it.
func (in *injector) runUpgrade(ctx context.Context, plan []fault, start time.Time) {
	for _, f := range plan {
		if !wait.Sleep(ctx, f.at-time.Since(start)) {
			return
		}
		if f.kind == answersDue {
			in.upgrade.comparing.Go(func() { in.compareAnswers(ctx) })
			continue
		}
		in.exchangeProcess(ctx, f)
	}
}

// exchangeProcess stops one process in order, starts the program of the other release in its place, and waits until it is ready.
func (in *injector) exchangeProcess(ctx context.Context, f fault) {
	in.tracks[f.hits()].Lock()
	defer in.tracks[f.hits()].Unlock()
	i := &injected{fault: f, begun: time.Now()}
	var p *process
	client, address := http.DefaultClient, ""
	if f.hits() == "etcd" {
		p, address = in.c.etcd[f.target], in.c.health[f.target]+"/health"
		_ = p.stopProcess() // etcd, asked to stop, ends by the signal itself
	} else {
		d := in.c.processesOf(f.hits())[f.target]
		p, client, address = d.process, in.c.secrets.newClient("admin", 2*time.Second), d.admin+"/ready"
		in.recordFault(i, d)
		if err := p.stopProcess(); err != nil {
			i.err = err
		}
		to := in.c.present
		if strings.HasSuffix(f.kind, back) {
			to = in.c.first
		}
		p.setProgram(to.program(f.hits()))
	}
	i.victim = p.name
	started := p.startProcess()
	if started == nil {
		patient, cancel := context.WithTimeout(ctx, readyLimit)
		started = awaitOK(patient, client, address)
		cancel()
	}
	i.healed = time.Now()
	in.say("%s: %s in %s%s", f.kind, i.victim, i.healed.Sub(i.begun).Round(time.Millisecond), because(started))
	in.mu.Lock()
	in.done = append(in.done, i)
	in.mu.Unlock()
	if ctx.Err() == nil {
		in.upgrade.noteExchange(f, p.name, started)
	}
}

// because returns the reason of a failure, "" without one.
func because(err error) string {
	if err == nil {
		return ""
	}
	return ", which failed: " + err.Error()
}

func (u *upgrade) noteExchange(f fault, name string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.exchanged.checked++
	if err != nil {
		u.exchanged.addFailure("%s, %s: %v", name, f.kind, err)
	}
}

// compareAnswers compares the history that the query servers answer together with the uploads that were acknowledged before.
func (in *injector) compareAnswers(ctx context.Context) {
	acked, newest := in.ledger.copyAcknowledged()
	if newest == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	answered, err := in.readTogether(ctx, newest, max(smallPage, min(wholePage, len(acked)/100)))
	if err != nil {
		in.upgrade.noteFailure(err)
		return
	}
	in.upgrade.noteComparison(checkRecords("all queryd together", answered, in.ledger.copySent(), acked))
}

// readTogether reads all pages of history, each from the next query server. One that is exchanged, killed or frozen is left out, and its
// page comes from the next one.
func (in *injector) readTogether(ctx context.Context, revision string, limit int) (all []entry, err error) {
	client, bases := in.c.secrets.newClient("read", 5*time.Second), in.c.baseURLs("queryd")
	failed, begun := map[string]int{}, time.Now()
	cursor := ""
	for n := 0; ; n++ {
		page, next, err := historyPage(ctx, client, bases[n%len(bases)], revision, cursor, limit)
		switch {
		case err == nil && next == "":
			in.upgrade.noteAnswers(failed)
			return append(all, page...), nil
		case err == nil:
			all, cursor = append(all, page...), next
			continue
		}
		failed[err.Error()]++
		if isFinal(err) || !wait.Sleep(ctx, 100*time.Millisecond) {
			in.upgrade.noteAnswers(failed)
			in.say("comparing answers failed in %s, after %d entries: %s", time.Since(begun).Round(time.Millisecond), len(all), formatCounts(failed))
			return nil, err
		}
	}
}

// noteAnswers counts the answers without data.
func (u *upgrade) noteAnswers(failed map[string]int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for text, n := range failed {
		_, cause, _ := strings.Cut(text, "://")
		_, cause, _ = strings.Cut(cause, ": ")
		u.answers[cause] += n
	}
}

func (u *upgrade) noteComparison(verdicts []verdict) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.compared.addVerdicts(verdicts)
}

// noteFailure notes a comparison that could not be made: a refusal breaks the promise, such as one of a cursor that the other release has
// made; a server that does not answer in time does not.
func (u *upgrade) noteFailure(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if isFinal(err) {
		u.compared.addFailure("%v", err)
	} else {
		u.unanswered++
	}
}

// writeUpgrade writes how the upgrade went.
func (out *observations) writeUpgrade() string {
	if out.upgrade == nil {
		return "No rolling upgrade: " + out.noUpgrade + ".\n\n"
	}
	u := out.upgrade
	took := map[string][]time.Duration{}
	var kinds []string
	for _, f := range out.faults {
		if f.track != upgradeTrack {
			continue
		}
		if took[f.kind] == nil {
			kinds = append(kinds, f.kind)
		}
		took[f.kind] = append(took[f.kind], f.healed.Sub(f.begun))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## Rolling upgrade\n\nFrom `%s` to `%s`. %d records were compared while releases were mixed; %d comparisons had no answer in time; answers without data: %s.\n\n"+
		"From the signal to stop until the next program is ready:\n\n| exchange | times | p50 | longest |\n|---|---|---|---|\n", u.previous.name, u.present.name, u.compared.checked, u.unanswered, formatCounts(u.answers))
	for _, kind := range kinds {
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", kind, len(took[kind]), quantile(took[kind], 0.5).Round(time.Millisecond), quantile(took[kind], 1).Round(time.Millisecond))
	}
	b.WriteByte('\n')
	return b.String()
}
