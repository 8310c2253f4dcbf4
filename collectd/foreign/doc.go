// Package foreign takes in keys of producers that follow the older layout of the queue, without partitions.
//
// In: values of JSON below the queue, each a wide row, a long row or an array of them, and the claim on the first
// partition of the active generation, whose owner does this for the cluster. Out: the same readings as ordinary
// events of the log, and no key left behind. It never folds, and never removes a key whose readings are not in the
// log.
//
// A row has the same meaning as in a file: names, units, tokens for nothing, times and identities are read by the
// dialects of uploads. Where a row has no time, host or GPU, its key supplies it: {time}_{host}_{gpu}_{number}.
//
// # Once
//
// The events of a value depend on its key and content alone, and the log keeps an event once. A value is appended
// first and its key removed after, if the value is unchanged and the claim still holds. So when a process dies in
// between, the next owner appends the same events again, finds them there already, and continues. A key that is
// written again meanwhile is taken again. A process that lost the claim may append the same events as the next owner,
// and removes nothing.
//
// # Unusable values
//
// A reading that cannot be used costs itself, a row that row; the rest of the value is appended. Such a value is then
// moved, unchanged, to the place of an event of its host (eventlog.Log.MoveToDeadLetters): the collector that owns
// that place finds an event that it cannot fold, and it is listed in the quarantine with the reason and kept.
//
// # Bounds
//
// A listing is the truth, a watch on the keys only triggers listings: it may break, be compacted or report too much
// without harm. Keys are listed and values fetched in bounded pages, one request after the other, so a backlog of any
// size takes its time and no memory, and ordinary traffic waits for one request at most. Failures are logged and
// tried again with pauses; nothing else depends on it.
package foreign
