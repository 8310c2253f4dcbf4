// Package projections holds the read models and the pure functions that fold events into them.
//
// In: a model and an event. Out: the model after the event. It never touches etcd, a clock or a goroutine.
// A host's state is a set of records and every model is a pure function of that set: folding is set union,
// so order, batching, repeats, late arrival and replay cannot change a result.
package projections
