package history

import (
	"container/heap"

	"telemetry-pipeline/projections"
)

// merge gives the first n entries of runs that are each in the wanted order. It may give a run itself.
func merge(runs [][]projections.Entry, n int, oldest bool) []projections.Entry {
	total := 0
	h := heads{oldest: oldest}
	for _, run := range runs {
		if total += len(run); len(run) > 0 {
			h.runs = append(h.runs, run)
		}
	}
	if len(h.runs) == 1 {
		return h.runs[0][:min(n, total)]
	}
	heap.Init(&h)
	out := make([]projections.Entry, 0, min(n, total))
	for len(out) < cap(out) {
		first := &h.runs[0]
		out = append(out, (*first)[0])
		if *first = (*first)[1:]; len(*first) == 0 {
			heap.Pop(&h)
		} else {
			heap.Fix(&h, 0)
		}
	}
	return out
}

// heads is a heap of runs by their first entries; none is empty.
type heads struct {
	runs   [][]projections.Entry
	oldest bool
}

func (h *heads) Len() int { return len(h.runs) }

func (h *heads) Less(i, j int) bool {
	return before(h.runs[i][0].Place(), h.runs[j][0].Place(), h.oldest)
}

func (h *heads) Swap(i, j int) { h.runs[i], h.runs[j] = h.runs[j], h.runs[i] }

func (h *heads) Push(x any) { h.runs = append(h.runs, x.([]projections.Entry)) }

func (h *heads) Pop() any {
	last := h.runs[len(h.runs)-1]
	h.runs = h.runs[:len(h.runs)-1]
	return last
}
