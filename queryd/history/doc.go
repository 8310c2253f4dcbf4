// Package history answers what was, from the stored series and from the archive of what left them: entries of
// a time range, sums by steps of time, and the view as it was at an instant.
//
// In: a Query, or an instant, and the current view. Out: a page and where the next one starts, or a view. It
// never folds, and never reads more of the stored windows than a page's end needs, give or take one group
// of them.
package history
