// Package scrape reads the formats that Prometheus reads: the text exposition format and OpenMetrics, as
// dcgm-exporter and others write it, and as a Prometheus passes it on under /federate.
//
// In come lines. Out goes a record per sample of a GPU: of the families DCGM_*, dcgm_*, nvidia_* and hw_gpu_*.
// Comments, other families (go_*, process_*), an exporter's samples about itself, and the buckets and sums of
// histograms are skipped and counted. # TYPE is ignored; the catalogue knows better. Prometheus' own parser reads the
// lines, one at a time, so that a damaged line affects only itself; a sample's number is read again from its text,
// because a float64 would lose digits.
//
// A sample's time is in milliseconds in the text format and in seconds in OpenMetrics. Its size distinguishes them,
// because neither can be mistaken for the other in this century. A sample without a time has the sender's time in
// ?ts=, else the time of receipt and the label time_source=received: then the same text sent again yields other
// records.
//
// It never guesses a host, never takes a label or a job for a missing host, and never makes a number of NaN.
package scrape
