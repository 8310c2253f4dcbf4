package main

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The bounds that a week of the standard fleet must keep.
const (
	maxEtcd        = 512 << 20
	maxPerRecord   = 0.8
	maxWeekByHour  = 100 * time.Millisecond
	maxRawDay      = 50 * time.Millisecond
	minPerArchived = 1 // object: an archive that holds nothing keeps no bound
)

// bound is one line of the report that can fail.
type bound struct {
	what, got, want string
	ok              bool
}

func (out *measurements) perRecord() float64 {
	return float64(out.archive.bytes) / float64(max(1, out.records))
}

func (out *measurements) checkBounds() []bound {
	week, day := percentile(out.weekByHour, 0.5), percentile(out.rawDay, 0.5)
	return []bound{
		{"etcd at most", fmt.Sprintf("%d MiB", out.etcd>>20), "< 512 MiB", out.etcd < maxEtcd},
		{"archived and merged", fmt.Sprintf("%t, %s after the last upload", out.settled, out.settling.Round(time.Second)), "in time", out.settled},
		{"archive", fmt.Sprintf("%.3f bytes per record, %d objects", out.perRecord(), out.archive.objects), "≤ 0.8",
			out.archive.objects >= minPerArchived && out.perRecord() <= maxPerRecord},
		{fmt.Sprintf("%d days of one GPU by hour, %d entries, p50", out.days, out.weekByHourRows), week.Round(10 * time.Microsecond).String(), "≤ 100ms", week <= maxWeekByHour},
		{fmt.Sprintf("one raw day of one GPU, %d entries, p50", out.rawDayRows), day.Round(10 * time.Microsecond).String(), "≤ 50ms", day <= maxRawDay},
	}
}

// ok reports whether every bound was kept.
func (out *measurements) ok() bool {
	return !slices.ContainsFunc(out.checkBounds(), func(b bound) bool { return !b.ok })
}

// writeReport writes the report of a run, in Markdown.
func (out *measurements) writeReport() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %d days of %d GPUs, a sample every %s, %d processors\n\n", out.days, out.gpus, out.every, runtime.NumCPU())
	b.WriteString("| bound | got | want | |\n|---|---|---|---|\n")
	for _, x := range out.checkBounds() {
		state := "ok"
		if !x.ok {
			state = "**BROKEN**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", x.what, x.got, x.want, state)
	}
	b.WriteString("\n| what | |\n|---|---|\n")
	fmt.Fprintf(&b, "| records | %d |\n| uploaded | %d MiB in %s, %.0f records/s, the last visible |\n", out.records, out.sent>>20,
		out.took.Round(time.Second), float64(out.records)/out.took.Seconds())
	fmt.Fprintf(&b, "| etcd in use at the end | %d MiB |\n| memory of the process at most | %d MiB |\n", out.etcdInUse>>20, out.memory>>20)
	for _, kind := range slices.Sorted(maps.Keys(out.archive.byKind)) {
		bytes := out.archive.byKind[kind]
		fmt.Fprintf(&b, "| archive: %s | %d MiB, %.3f bytes per record |\n", kind, bytes>>20, float64(bytes)/float64(max(1, out.records)))
	}
	fmt.Fprintf(&b, "| by hour, slowest | %s |\n| raw day, slowest | %s |\n",
		percentile(out.weekByHour, 1).Round(10*time.Microsecond), percentile(out.rawDay, 1).Round(10*time.Microsecond))
	return b.String()
}
