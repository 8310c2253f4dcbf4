// Package cache keeps values that take long to make, up to a number of bytes.
//
// In: a key, and a function that makes its value. Out: the value. A value belongs to its key for ever: nothing here
// notices that it would be made otherwise later. It never makes a value twice at the same time, and starts no goroutine.
package cache

import (
	"context"
	"errors"
	"math"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
)

// Cache keeps the values of keys that are used often or were used lately. Values are shared by all who get them, and must
// not be changed. A nil Cache keeps nothing. Safe for concurrent use.
type Cache[K comparable, V any] struct {
	values *otter.Cache[K, V]
	counts *stats.Counter
}

// New returns a cache of at most so many bytes. bytesOf returns the bytes that a value takes in memory.
func New[K comparable, V any](most int64, bytesOf func(V) int) *Cache[K, V] {
	counts := stats.NewCounter()
	return &Cache[K, V]{
		counts: counts,
		values: otter.Must(&otter.Options[K, V]{
			MaximumWeight: uint64(max(most, 1)),
			Weigher:       func(_ K, v V) uint32 { return uint32(min(max(bytesOf(v), 1), math.MaxUint32)) },
			StatsRecorder: counts,
			Executor:      func(do func()) { do() },
		}),
	}
}

// Get returns the value of a key, which make makes if the cache does not have it. Callers that ask for one key at the same
// time share one call of make, and its error, unless it is the error of a context that is not theirs.
func (c *Cache[K, V]) Get(ctx context.Context, key K, make func(context.Context) (V, error)) (V, error) {
	if c == nil {
		return make(ctx)
	}
	v, err := c.values.Get(ctx, key, otter.LoaderFunc[K, V](func(ctx context.Context, _ K) (V, error) { return make(ctx) }))
	if err != nil && ctx.Err() == nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return make(ctx)
	}
	return v, err
}

// Find returns the value of a key, if the cache has it.
func (c *Cache[K, V]) Find(key K) (v V, found bool) {
	if c == nil {
		return v, false
	}
	return c.values.GetIfPresent(key)
}

// Put adds the value of a key to the cache.
func (c *Cache[K, V]) Put(key K, v V) {
	if c != nil {
		c.values.Set(key, v)
	}
}

// Stats counts what a cache did, since its start, and what it holds.
type Stats struct {
	Hits, Misses uint64
	Bytes        uint64
}

// Stats returns the counts.
func (c *Cache[K, V]) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	s := c.counts.Snapshot()
	return Stats{Hits: s.Hits, Misses: s.Misses, Bytes: c.values.WeightedSize()}
}
