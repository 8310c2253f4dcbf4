package history

import (
	"container/heap"
	"sort"

	"telemetry-pipeline/projections"
)

// mergeRuns returns the first n items of runs that are each in the wanted order. It may return one of the runs.
func mergeRuns[T any](runs [][]T, n int, oldest bool, place func(*T) projections.Place) []T {
	total := 0
	h := runHeap[T]{oldest: oldest, place: place}
	for _, run := range runs {
		if total += len(run); len(run) > 0 {
			h.runs = append(h.runs, run)
		}
	}
	if len(h.runs) == 1 {
		return h.runs[0][:min(n, total)]
	}
	out := make([]T, 0, min(n, total))
	if sort.Sort(&h); h.isSequential() { // runs of one GPU mostly follow each other
		for _, run := range h.runs {
			out = append(out, run[:min(len(run), cap(out)-len(out))]...)
		}
		return out
	}
	// A sorted slice is a heap.
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

// runHeap is a heap of runs, ordered by their first items; no run is empty.
type runHeap[T any] struct {
	runs   [][]T
	oldest bool
	place  func(*T) projections.Place
}

// isSequential reports whether every run ends before the next one begins.
func (h *runHeap[T]) isSequential() bool {
	for i := 1; i < len(h.runs); i++ {
		last := &h.runs[i-1][len(h.runs[i-1])-1]
		if !comesBefore(h.place(last), h.place(&h.runs[i][0]), h.oldest) {
			return false
		}
	}
	return true
}

func (h *runHeap[T]) Len() int { return len(h.runs) }

func (h *runHeap[T]) Less(i, j int) bool {
	return comesBefore(h.place(&h.runs[i][0]), h.place(&h.runs[j][0]), h.oldest)
}

func (h *runHeap[T]) Swap(i, j int) { h.runs[i], h.runs[j] = h.runs[j], h.runs[i] }

func (h *runHeap[T]) Push(x any) { h.runs = append(h.runs, x.([]T)) }

func (h *runHeap[T]) Pop() any {
	last := h.runs[len(h.runs)-1]
	h.runs = h.runs[:len(h.runs)-1]
	return last
}
