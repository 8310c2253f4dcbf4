package projections

// room allocates short slices together. A piece that is kept holds on to at most maxRoom elements, or its own length.
type room[T any] struct {
	left []T
	size int // of the last allocation
}

// roomFor returns a room whose first allocation has about n elements.
func roomFor[T any](n int) room[T] { return room[T]{size: n / 2} }

const maxRoom = 64

// take returns a slice of n zero elements.
func (r *room[T]) take(n int) []T {
	if n > len(r.left) {
		r.size = max(n, min(2*r.size, maxRoom))
		r.left = make([]T, r.size)
	}
	part := r.left[:n:n]
	r.left = r.left[n:]
	return part
}
