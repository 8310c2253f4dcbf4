package live

import (
	"iter"
	"slices"
	"sort"
	"sync"
)

// maxChunk bounds a chunk of a sortedList.
const maxChunk = 512

// sortedList is a sorted list that shares most of its memory with the list that it was made from: a change of a few elements
// copies their chunks alone. Immutable; the zero sortedList is empty.
type sortedList[T comparable] struct {
	chunks [][]T // none is empty
	length int
	flat   func() []T // nil for an empty list
}

// splice returns the list without the elements of gone and with the elements of fresh. Both are sorted by order, as the list is,
// and every element of gone is in the list.
func (l sortedList[T]) splice(gone, fresh []T, order func(a, b T) int) sortedList[T] {
	if len(gone) == 0 && len(fresh) == 0 {
		return l
	}
	out := make([][]T, 0, len(l.chunks)+1)
	for chunks := l.chunks; len(chunks) > 0; {
		at := len(chunks) // of the first chunk with an element to remove or to add
		for _, edits := range [...][]T{gone, fresh} {
			if len(edits) > 0 {
				at = min(at, max(0, countUpToElement(chunks, edits[0], order)-1))
			}
		}
		out = append(out, chunks[:at]...)
		if chunks = chunks[at:]; len(chunks) == 0 {
			break
		}
		g, f := len(gone), len(fresh)
		if len(chunks) > 1 {
			g, _ = slices.BinarySearchFunc(gone, chunks[1][0], order)
			f, _ = slices.BinarySearchFunc(fresh, chunks[1][0], order)
		}
		out = appendChunks(out, spliceSorted(chunks[0], gone[:g], fresh[:f], order))
		chunks, gone, fresh = chunks[1:], gone[g:], fresh[f:]
	}
	if len(l.chunks) == 0 {
		out = appendChunks(out, slices.Clone(fresh))
	}
	return newSortedList(out)
}

// countUpToElement returns the number of chunks that begin with an element or one before it.
func countUpToElement[T comparable](chunks [][]T, element T, order func(a, b T) int) int {
	return sort.Search(len(chunks), func(i int) bool { return order(chunks[i][0], element) > 0 })
}

// appendChunks appends elements as chunks, to the last one if they fit together well.
func appendChunks[T comparable](chunks [][]T, elements []T) [][]T {
	if n := len(chunks); n > 0 && len(chunks[n-1])+len(elements) <= maxChunk/2 {
		chunks[n-1] = slices.Concat(chunks[n-1], elements)
		return chunks
	}
	if len(elements) <= maxChunk {
		if len(elements) > 0 {
			chunks = append(chunks, elements)
		}
		return chunks
	}
	return slices.AppendSeq(chunks, slices.Chunk(elements, maxChunk/2))
}

func newSortedList[T comparable](chunks [][]T) sortedList[T] {
	l := sortedList[T]{chunks: chunks}
	for _, chunk := range chunks {
		l.length += len(chunk)
	}
	if l.length > 0 {
		l.flat = sync.OnceValue(func() []T { return slices.Concat(chunks...) })
	}
	return l
}

// findIn returns the element of a list that is equal to a key.
func findIn[T comparable, K any](l sortedList[T], key K, compare func(T, K) int) (found T, ok bool) {
	at := sort.Search(len(l.chunks), func(i int) bool { return compare(l.chunks[i][0], key) > 0 })
	if at == 0 {
		return found, false
	}
	chunk := l.chunks[at-1]
	if at, ok = slices.BinarySearchFunc(chunk, key, compare); !ok {
		return found, false
	}
	return chunk[at], true
}

// countWhile returns the number of elements for which holds returns true, which come before all others.
func countWhile[T comparable](l sortedList[T], holds func(T) bool) (n int) {
	at := sort.Search(len(l.chunks), func(i int) bool { return !holds(l.chunks[i][0]) })
	if at == 0 {
		return 0
	}
	for _, chunk := range l.chunks[:at-1] {
		n += len(chunk)
	}
	last := l.chunks[at-1]
	return n + sort.Search(len(last), func(i int) bool { return !holds(last[i]) })
}

// firstNotBefore returns the first element for which isBefore returns false.
func firstNotBefore[T comparable](l sortedList[T], isBefore func(T) bool) (found T, ok bool) {
	at := sort.Search(len(l.chunks), func(i int) bool { c := l.chunks[i]; return !isBefore(c[len(c)-1]) })
	if at == len(l.chunks) {
		return found, false
	}
	chunk := l.chunks[at]
	return chunk[sort.Search(len(chunk), func(i int) bool { return !isBefore(chunk[i]) })], true
}

// all yields the elements in order.
func (l sortedList[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, chunk := range l.chunks {
			for _, e := range chunk {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// slice returns the elements as one slice, which all callers share.
func (l sortedList[T]) slice() []T {
	if l.flat == nil {
		return nil
	}
	return l.flat()
}

// spliceSorted returns sorted without the elements of gone and with the elements of fresh. All three are sorted by
// order, and sorted stays as it is. It costs one pass and, for each element of fresh that
// replaces none, a few comparisons: looking at an element costs more than passing over many.
func spliceSorted[T comparable](sorted, gone, fresh []T, order func(a, b T) int) []T {
	if len(gone) == 0 && len(fresh) == 0 {
		return sorted
	}
	out := make([]T, 0, max(0, len(sorted)-len(gone))+len(fresh))
	for len(gone) > 0 || len(fresh) > 0 {
		which := -1 // gone comes first
		if len(gone) == 0 {
			which = 1
		} else if len(fresh) > 0 {
			which = order(gone[0], fresh[0])
		}
		if which > 0 {
			at, _ := slices.BinarySearchFunc(sorted, fresh[0], order)
			out = append(append(out, sorted[:at]...), fresh[0])
			sorted, fresh = sorted[at:], fresh[1:]
			continue
		}
		if at := slices.Index(sorted, gone[0]); at >= 0 {
			out, sorted = append(out, sorted[:at]...), sorted[at+1:]
			if which == 0 {
				out, fresh = append(out, fresh[0]), fresh[1:]
			}
		}
		gone = gone[1:]
	}
	return append(out, sorted...)
}
