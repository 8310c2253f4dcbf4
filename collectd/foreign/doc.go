// Package foreign takes in what producers wrote that follow the older layout of the queue, without partitions.
//
// In: values of JSON below the queue, each a wide row, a long row or an array of them, and the claim on the first
// partition of the active generation, whose owner does this for the cluster. Out: the same readings as ordinary
// events of the log, and no key left behind. It never folds, and never removes what is not in the log.
//
// A row means what it would mean in a file: names, units, tokens for nothing, times and identities are read by the
// dialects of uploads. Where a row says no time, host or GPU, its key says it, which reads {time}_{host}_{gpu}_{number}.
//
// # Once
//
// The events of a value depend on its key and content alone, and the log keeps an event once. A value is appended first
// and its key removed after, if it still is what was read and the claim still holds. So whatever dies in between, the
// next owner appends the same events again, which are there already, and goes on. A key that is written again meanwhile
// is taken again. Who lost the claim may append what the next owner appends too, and removes nothing.
//
// # What cannot be used
//
// A reading that cannot be used costs itself, a row that row; the rest of the value is appended. Such a value is then
// moved, as it is, to where an event of its host would be (eventlog.Log.MoveToDeadLetters): the collector that owns that finds an
// event that it cannot fold, and it is listed in the quarantine with the reason and kept.
//
// # Bounds
//
// A listing is the truth, a watch on the keys only says when to list: it may break, be compacted or say too much without
// harm. Keys are listed and values fetched in bounded pages, one request after the other, so a backlog of any size takes
// its time and no memory, and ordinary traffic waits for one request at most. What goes wrong is told and tried again
// with pauses; nothing else depends on it.
package foreign
