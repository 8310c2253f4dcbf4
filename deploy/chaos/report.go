package main

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// allKept reports whether every promise held.
func (out *observations) allKept() bool {
	return !slices.ContainsFunc(out.verdicts, func(v verdict) bool { return !v.ok() })
}

// writeReport writes the report of a run, in Markdown.
func (out *observations) writeReport() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Chaos, seed %d, %s\n\n", out.seed, out.duration)
	fmt.Fprintf(&b, "`go run ./deploy/chaos %s`\n\n", out.settings)
	fmt.Fprintf(&b, "%d members of etcd, %d ingestd, %d collectd, %d queryd; %d partitions, lease TTL %s, %d processors; %s.\n\n",
		members, ingesters, collectors, queriers, partitions, out.ttl, runtime.NumCPU(), out.describeAccess())
	out.writePromises(&b)
	out.writeNumbers(&b)
	out.writeFailovers(&b)
	b.WriteString(out.writeUpgrade())
	out.writeInjected(&b)
	out.writeEndings(&b)
	return b.String()
}

func (out *observations) describeAccess() string {
	if out.access {
		return "listeners with TLS and tokens, etcd with TLS, client certificates and users"
	}
	return "everything open"
}

func (out *observations) writePromises(b *strings.Builder) {
	b.WriteString("## Promises\n\n| promise | | looked at | how |\n|---|---|---|---|\n")
	for _, v := range out.verdicts {
		state := "ok"
		if !v.ok() {
			state = fmt.Sprintf("**BROKEN** %d", v.failed)
		}
		fmt.Fprintf(b, "| %s | %s | %d | %s |\n", v.promise, state, v.checked, v.how)
	}
	b.WriteByte('\n')
	for _, v := range out.verdicts {
		if v.ok() {
			continue
		}
		fmt.Fprintf(b, "Broken: %s (%d)\n\n", v.promise, v.failed)
		for _, e := range v.broken {
			fmt.Fprintf(b, "- %s\n", e)
		}
		b.WriteByte('\n')
	}
}

func (out *observations) writeNumbers(b *strings.Builder) {
	b.WriteString("## Numbers\n\n| what | |\n|---|---|\n")
	line := func(what, format string, args ...any) {
		fmt.Fprintf(b, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	uploads, steps, dials, resumed := 0, 0, 0, 0
	for _, n := range out.ledger.kinds {
		uploads += n
	}
	for _, s := range out.subscribers {
		steps, dials, resumed = steps+len(s.steps), dials+s.dials, resumed+s.resumed
	}
	line("faults injected", "%d", len(out.faults))
	line("uploads acknowledged", "%d (%s)", uploads, formatCounts(out.ledger.kinds))
	line("answers to uploads", "%s", formatCounts(out.ledger.answers))
	line("records acknowledged", "%d", len(out.ledger.acked))
	line("records sent and not acknowledged (may be there or not)", "%d", len(out.ledger.sent)-len(out.ledger.acked))
	line("records lost, doubled or changed", "%d", out.writeFailed("every acknowledged record"))
	line("records invented", "%d", out.writeFailed("nothing is queryable"))
	line("events in the log", "%d", len(out.seen.log))
	done, waiting := foldDelays(out.seen.writes, out.seen.log)
	var waits []time.Duration
	for _, f := range done {
		waits = append(waits, f.took)
	}
	line("from an event in the log to its offset", "p50 %s, p99 %s, longest %s; %d never", quantile(waits, 0.5).Round(time.Millisecond),
		quantile(waits, 0.99).Round(time.Millisecond), quantile(waits, 1).Round(time.Millisecond), len(waiting))
	line("transactions on projections seen on the wire", "%d, of which %d were refused (by the guard of the claim, or by the chain of offsets)", len(out.saves), countRefused(out.saves))
	woken := countZombies(out.faults, &out.seen, out.saves)
	denied, accepted := 0, 0
	for _, z := range woken {
		denied, accepted = denied+z.refused, accepted+z.accepted
	}
	line("frozen owners that woke up to newer ones", "%d; of their old claims' transactions %d were refused and %d accepted", len(woken), denied, accepted)
	line("revisions whose writer's answer was not seen", "%d", checkUnattributed(out.seen.writes, out.saves))
	line("messages to subscribers", "%d on %d connections, of which %d resumed", steps, dials, resumed)
	line("longest time without an acknowledged upload", "%s", longestGap(out.ledger.at, out.begun, out.healed).Round(time.Millisecond))
	var any []time.Time
	for _, r := range out.readers {
		any = append(any, r.good...)
		line("longest time without an answer of "+r.name, "%s (%d good answers; else %s)", longestGap(r.good, out.begun, out.healed).Round(time.Millisecond), len(r.good), formatCounts(r.bad))
	}
	line("longest time without an answer of any queryd", "%s", longestGap(any, out.begun, out.healed).Round(time.Millisecond))
	line("after the last fault healed: every partition owned", "%s", out.recovery.owners.Round(time.Millisecond))
	for _, name := range slices.Sorted(maps.Keys(out.recovery.visible)) {
		line("after the last fault healed: everything visible in "+name, "%s", out.recovery.visible[name].Round(time.Millisecond))
	}
	b.WriteByte('\n')
}

// writeFailed counts the breaches of the promises that start with a text.
func (out *observations) writeFailed(promise string) int {
	n := 0
	for _, v := range out.verdicts {
		if strings.HasPrefix(v.promise, promise) {
			n += v.failed
		}
	}
	return n
}

func (out *observations) writeFailovers(b *strings.Builder) {
	b.WriteString("## Failover\n\nBy partition that got an event between the fault of its owner and the next claim: from the fault to that claim, " +
		"from the fault to the next owner's first write, and the longest that such an event waited. Undisturbed ones had no other fault of etcd or a collector beside them.\n\n")
	b.WriteString("| fault | partitions | claimed p50 | p99 | first fold p50 | p99 | wait p50 | p99 |\n|---|---|---|---|---|---|---|---|\n")
	by := kindsOf(listFailovers(out.faults, &out.seen))
	for _, kind := range slices.Sorted(maps.Keys(by)) {
		calm := slices.DeleteFunc(slices.Clone(by[kind]), func(f failover) bool { return f.disturbed })
		quantiles(b, kind, by[kind])
		quantiles(b, kind+", undisturbed", calm)
	}
	b.WriteByte('\n')
}

// quantiles writes the quantiles of failovers.
func quantiles(b *strings.Builder, name string, all []failover) {
	fmt.Fprintf(b, "| %s | %d |", name, len(all))
	for _, of := range []func(failover) time.Duration{
		func(f failover) time.Duration { return f.claimed },
		func(f failover) time.Duration { return f.folded },
		func(f failover) time.Duration { return f.waited },
	} {
		var times []time.Duration
		for _, f := range all {
			times = append(times, of(f))
		}
		for _, q := range []float64{0.5, 0.99} {
			if len(times) == 0 {
				b.WriteString(" – |")
			} else {
				fmt.Fprintf(b, " %s |", quantile(times, q).Round(time.Millisecond))
			}
		}
	}
	b.WriteByte('\n')
}

func (out *observations) writeInjected(b *strings.Builder) {
	kinds := map[string]int{}
	for _, f := range out.faults {
		kinds[f.kind]++
	}
	b.WriteString("## Faults\n\n| kind | times |\n|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(b, "| %s | %d |\n", kind, kinds[kind])
	}
	b.WriteByte('\n')
}

// writeEndings lists findings that break no promise and yet are worth a look.
func (out *observations) writeEndings(b *strings.Builder) {
	var notes []string
	for _, e := range out.ends {
		notes = append(notes, fmt.Sprintf("%s, at %.1fs: ended by itself after %s: %s", e.name, e.at.Sub(out.begun).Seconds(), e.ran.Round(time.Millisecond), e.how))
	}
	for _, f := range out.faults {
		if f.err != nil {
			notes = append(notes, fmt.Sprintf("%s, at %.1fs: %s: %v", f.victim, f.begun.Sub(out.begun).Seconds(), f.kind, f.err))
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(b, "## Beside the plan\n\n- %s\n\n", strings.Join(notes, "\n- "))
	}
}

// formatCounts writes a map of counts, in order of its keys.
func formatCounts(of map[string]int) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%s: %d", key, of[key]))
	}
	return strings.Join(parts, ", ")
}
