// Package grafana reads tables of series as Grafana exports them: a row per reading (Series;Time;Value), or a column
// per series behind a column Time.
//
// In come a header and rows. Out goes a record per cell that has a reading, or a rejection. A series whose name is a
// full selector, such as DCGM_FI_DEV_GPU_TEMP{gpu="0",instance="n1:9400"}, is fully identified; a legend such as GPU
// 0 loses the metric and the host, so the sender supplies them. Grafana fills the gaps of a query with empty cells or
// with null: these are no samples, neither absent readings nor zeros. Cells that were exported as formatted data have
// a unit, which must fit the metric.
//
// It never guesses a metric, a host or the order of day and month, and never takes an expression over series for one
// of them.
package grafana
