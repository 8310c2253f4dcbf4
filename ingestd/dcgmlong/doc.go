// Package dcgmlong reads DCGM exports in the long form: one row per reading, named in a column metric_name.
//
// In come a header and rows. Out goes one record per row, or one rejection that names the cell and its fault. Columns
// identify the origin of a reading, as do the labels in a column labels_raw, in the syntax of Prometheus; names that
// have no field are kept as labels.
//
// It never speaks HTTP, never guesses a time or a host, and never makes a number of an empty cell.
package dcgmlong
