// Package wide reads telemetry in the wide form: one row per GPU and time, one column per metric.
//
// In come a header and rows. Out go records, one per metric cell, and rejections of cells that are no readings; the
// other cells of such a row count. An empty cell of a metric that the catalogue knows is an absent reading. In a
// column that the catalogue does not know, each cell is judged by itself: a number is a reading of a metric of that
// name, a text is a label, and an empty cell or a word such as N/A is ignored. A column without a name is left out
// (tables are exported with their row numbers in one).
//
// It never speaks HTTP, never guesses a time or a host, and never makes a number of an empty cell.
package wide
