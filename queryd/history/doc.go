// Package history answers what was: entries of a time range, from the stored series.
//
// In: a Query and the hosts of the current view. Out: a page of entries and where the next one starts. It
// never folds, and never reads more of the stored windows than a page's end needs, give or take one group
// of them.
package history
