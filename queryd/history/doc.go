// Package history answers queries about the past from the stored series and the archive: the entries of a time range,
// summaries by steps of time, and the view at an instant.
//
// In: a Query, or an instant, and the current view. Out: a page and the position of the next one, or a view. It never
// folds, and reads at most one group of stored windows more than a page needs.
package history
