package live

import "slices"

// spliceSorted returns sorted without the elements of gone and with the elements of fresh. All three are sorted by
// order, every element of gone is in sorted, and sorted stays as it is. It costs a few comparisons per edit and one
// copy.
func spliceSorted[T any](sorted, gone, fresh []T, order func(a, b T) int) []T {
	if len(gone) == 0 && len(fresh) == 0 {
		return sorted
	}
	out := make([]T, 0, max(0, len(sorted)-len(gone))+len(fresh))
	for len(gone) > 0 || len(fresh) > 0 {
		if len(fresh) == 0 || len(gone) > 0 && order(gone[0], fresh[0]) <= 0 {
			at, found := slices.BinarySearchFunc(sorted, gone[0], order)
			out = append(out, sorted[:at]...)
			if found {
				at++
			}
			sorted, gone = sorted[at:], gone[1:]
			continue
		}
		at, _ := slices.BinarySearchFunc(sorted, fresh[0], order)
		out = append(append(out, sorted[:at]...), fresh[0])
		sorted, fresh = sorted[at:], fresh[1:]
	}
	return append(out, sorted...)
}
