package projections

import (
	"fmt"
	"slices"
	"time"

	"telemetry-pipeline/events"
)

// Window is an hour of record time, counted from the Unix epoch (negative before it).
type Window int64

// WindowSpan is the length of a window.
const WindowSpan = time.Hour

// WindowOf returns the window that contains an instant.
func WindowOf(at events.Timestamp) Window {
	w := int64(at) / int64(WindowSpan)
	if int64(at)%int64(WindowSpan) < 0 {
		w--
	}
	return Window(w)
}

// Start returns the window's first instant; the next window's Start is its end. It is exact for every window that
// contains an instant, but for the first of them, which starts before the earliest Timestamp.
func (w Window) Start() events.Timestamp { return events.Timestamp(int64(w) * int64(WindowSpan)) }

// findWindow returns the index of the span that holds w, or the index where such a span belongs, and reports whether it is
// there.
func findWindow(spans []WindowRange, w Window) (int, bool) {
	return slices.BinarySearchFunc(spans, w, func(s WindowRange, w Window) int {
		switch {
		case s.Last < w:
			return -1
		case s.First > w:
			return 1
		}
		return 0
	})
}

// addWindow returns the spans with w added; the argument is not changed. changed is false when it
// was there.
func addWindow(spans []WindowRange, w Window) (all []WindowRange, changed bool) {
	i, found := findWindow(spans, w)
	if found {
		return spans, false
	}
	before := i > 0 && spans[i-1].Last+1 == w
	after := i < len(spans) && spans[i].First-1 == w
	all = make([]WindowRange, 0, len(spans)+1)
	all = append(all, spans[:i]...)
	switch {
	case before && after:
		all[i-1].Last = spans[i].Last
		i++
	case before:
		all[i-1].Last = w
	case after:
		all = append(all, WindowRange{First: w, Last: spans[i].Last})
		i++
	default:
		all = append(all, WindowRange{First: w, Last: w})
	}
	return append(all, spans[i:]...), true
}

// windowsBetween returns the first and the last of the windows after one and before another one, and how many there are.
func windowsBetween(spans []WindowRange, after, before Window) (first, last Window, n int) {
	i, _ := findWindow(spans, after+1)
	for _, s := range spans[i:] {
		from, to := max(s.First, after+1), min(s.Last, before-1)
		if from > to {
			break
		}
		if n == 0 {
			first = from
		}
		last, n = to, n+int(to-from)+1
	}
	return first, last, n
}

// checkWindows returns an error unless spans are disjoint, ascending and not adjacent, and contain instants of a
// Timestamp only.
func checkWindows(spans []WindowRange) error {
	first, last := WindowOf(minTime), WindowOf(maxTime)
	for i, s := range spans {
		switch {
		case s.First < first || s.Last > last || s.First > s.Last:
			return fmt.Errorf("windows %d to %d are no span", s.First, s.Last)
		case i > 0 && s.First <= spans[i-1].Last+1:
			return fmt.Errorf("windows %d to %d touch the span before, which ends with %d", s.First, s.Last, spans[i-1].Last)
		}
	}
	return nil
}
