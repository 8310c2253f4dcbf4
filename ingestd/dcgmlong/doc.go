// Package dcgmlong reads DCGM exports in the long form: one row per reading, named in a column metric_name.
//
// In come a header and rows. Out goes one record per row, or one rejection that says what is wrong with
// which cell. Where a reading comes from is said by columns and, in a column labels_raw, by labels in the
// syntax of Prometheus; what neither of them has a field for is kept as a label.
//
// It never speaks HTTP, never guesses a time or a host, and never makes a number of an empty cell.
package dcgmlong
