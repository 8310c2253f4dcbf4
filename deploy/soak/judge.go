package main

import (
	"fmt"
	"strings"

	"telemetry-pipeline/deploy/measure"
)

// quantity is a kind of figure that should stay flat.
type quantity struct {
	name, unit string
	share      float64 // of the mean
	allowance  float64 // growth over the judged half that does not matter, however small the share
	read       func(*vitals) float64
}

// quantities returns everything that is judged. Resident memory may swing by as much as the heap grows between two
// collections, so that a leak is found in the live heap. In a short run the first merge of the archive, whose encoders
// stay, falls into the judged half. Goroutines and open files have no share of the mean: each is some client's or task's.
func quantities() []quantity {
	const mib = 1 << 20
	return []quantity{
		{"resident memory", "MiB", mostGrowth, 96, func(v *vitals) float64 { return float64(v.resident) / mib }},
		{"live heap", "MiB", mostGrowth, 32, func(v *vitals) float64 { return v.liveHeap / mib }},
		{"goroutines", "", 0, 40, func(v *vitals) float64 { return v.goroutines }},
		{"open files", "", 0, 10, func(v *vitals) float64 { return float64(v.files) }},
		{"etcd in use", "MiB", mostGrowth, 16, func(v *vitals) float64 { return float64(v.etcdInUse) / mib }},
		{"etcd's file", "MiB", mostGrowth, 48, func(v *vitals) float64 { return float64(v.etcdFile) / mib }},
		{"lag", "s", mostGrowth, 2, func(v *vitals) float64 { return v.lag }},
	}
}

const (
	mostGrowth  = 0.1 // of the mean
	leastShare  = 0.9 // of the samples that are due
	leastJudged = 10  // samples
)

// verdict is the judgement of one quantity.
type verdict struct {
	quantity
	mean, growth float64
	flat         bool
}

// allowed returns the growth that counts as flat.
func (v *verdict) allowed() float64 { return max(v.share*v.mean, v.allowance) }

// judgeAll judges the samples of the second half by the rule in the package comment.
func judgeAll(all []vitals) ([]verdict, error) {
	half := all[len(all)/2:]
	if len(half) < leastJudged {
		return nil, fmt.Errorf("%d samples are too few: let it run longer", len(all))
	}
	var out []verdict
	for _, q := range quantities() {
		var x, y []float64
		sum := 0.0
		for i := range half {
			x, y = append(x, half[i].at.Sub(half[0].at).Seconds()), append(y, q.read(&half[i]))
			sum += y[i]
		}
		v := verdict{quantity: q, mean: sum / float64(len(half)), growth: measure.Slope(x, y) * x[len(x)-1]}
		v.flat = v.growth <= v.allowed()
		out = append(out, v)
	}
	return out, nil
}

// writeVerdicts writes a table.
func writeVerdicts(all []verdict) string {
	var b strings.Builder
	b.WriteString("| quantity | mean of the second half | growth over it | allowed | |\n|---|---:|---:|---:|---|\n")
	for _, v := range all {
		state := "flat"
		if !v.flat {
			state = "**grows**"
		}
		fmt.Fprintf(&b, "| %s | %.1f %s | %.1f | %.1f | %s |\n", v.name, v.mean, v.unit, v.growth, v.allowed(), state)
	}
	return b.String()
}
