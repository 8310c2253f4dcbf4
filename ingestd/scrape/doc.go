// Package scrape reads what Prometheus reads: the text exposition format and OpenMetrics, as dcgm-exporter and
// others write it, and as a Prometheus gives it on under /federate.
//
// In come lines. Out goes a record per sample of a GPU: of the families DCGM_*, dcgm_*, nvidia_* and hw_gpu_*. Comments,
// other families (go_*, process_*), what an exporter says of itself, and the buckets and sums of histograms are passed
// over and counted. What # TYPE says is not believed; the catalogue knows better. A line is read by Prometheus' own
// parser, one at a time, so that a damaged one costs itself; its number is read again from its text, for a float64
// would lose digits.
//
// A sample's time is milliseconds in the text format and seconds in OpenMetrics, and is told by its size, since
// neither can be taken for the other in this century. Without one it is what the sender says with ?ts=; else it is that of
// the receipt, and the label time_source=received says so: then the same text sent again gives other records.
//
// It never guesses a host, never takes a label or a job for one that is not there, and never makes a number of
// NaN.
package scrape
