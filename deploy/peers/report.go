package main

import (
	"math"
	"time"

	"telemetry-pipeline/deploy/measure"
)

// figure is one measured quantity of a row.
type figure struct {
	Name string `json:"name"` // the work
	Unit string `json:"unit"`
	// Values by round. Theirs is empty where the peer has no equivalent.
	Ours   []float64 `json:"ours"`
	Theirs []float64 `json:"theirs,omitempty"`
	Bound  bound     `json:"bound,omitzero"`
	Note   string    `json:"note,omitempty"`
}

// bound is a condition on a figure. A zero member is no condition.
type bound struct {
	MaxRatio float64 `json:"max_ratio,omitempty"` // of ours to theirs
	MinRatio float64 `json:"min_ratio,omitempty"`
	Max      float64 `json:"max,omitempty"` // of ours
	Min      float64 `json:"min,omitempty"`
}

// median returns our median.
func (f *figure) median() float64 { return measure.Median(f.Ours) }

// peerMedian returns the peer's median, NaN without a peer.
func (f *figure) peerMedian() float64 { return measure.Median(f.Theirs) }

// ratio returns the median of the ratios within the rounds, NaN without a peer.
func (f *figure) ratio() float64 { return measure.MedianRatio(f.Ours, f.Theirs) }

// meetsBound reports whether every condition holds. A ratio that could not be measured meets none.
func (f *figure) meetsBound() bool {
	ours, ratio := f.median(), f.ratio()
	return (f.Bound.Max == 0 || ours <= f.Bound.Max) && (f.Bound.Min == 0 || ours >= f.Bound.Min) &&
		(f.Bound.MaxRatio == 0 || ratio <= f.Bound.MaxRatio) && (f.Bound.MinRatio == 0 || ratio >= f.Bound.MinRatio)
}

// missedBy returns the factor by which the worst condition is missed; 1 or less when all hold.
func (f *figure) missedBy() float64 {
	worst := 0.0
	for _, c := range []struct{ got, most float64 }{
		{f.median(), f.Bound.Max}, {f.ratio(), f.Bound.MaxRatio}, {f.Bound.Min, f.median()}, {f.Bound.MinRatio, f.ratio()},
	} {
		if c.most != 0 && c.got != 0 && !math.IsNaN(c.got) && !math.IsNaN(c.most) {
			worst = max(worst, c.got/c.most)
		}
	}
	return worst
}

// curve is a cost by size, one line of it per system.
type curve struct {
	File  string `json:"file"` // of the drawing, without a directory
	Title string `json:"title"`
	X     string `json:"x"` // the axis' name
	Y     string `json:"y"`
	Lines []line `json:"lines"`
}

type line struct {
	Name string    `json:"name"`
	X    []float64 `json:"x"`
	Y    []float64 `json:"y"`
}

// result is the outcome of one row.
type result struct {
	Row      string        `json:"row"`
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"`
	Rounds   int           `json:"rounds"`
	Commands []string      `json:"commands"` // of the servers, as they were started
	Figures  []figure      `json:"figures"`
	Curves   []curve       `json:"curves,omitempty"`
	Failure  string        `json:"failure,omitempty"` // why it could not be measured, or not wholly
}

// mostRounds returns in how many rounds the row's figures were measured, those with the most of them.
func (w *result) mostRounds() (n int) {
	for i := range w.Figures {
		n = max(n, len(w.Figures[i].Ours))
	}
	return n
}

// report is the result of a run.
type report struct {
	At         time.Time `json:"at"`
	Processors int       `json:"processors"`
	Quick      bool      `json:"quick"`
	Versions   []string  `json:"versions"` // of the peers
	Results    []result  `json:"results"`
}

// failures returns the rows that could not be measured, each with the reason.
func (out *report) failures() (all []string) {
	for _, w := range out.Results {
		if w.Failure != "" {
			all = append(all, w.Row+": "+w.Failure)
		}
	}
	return all
}
