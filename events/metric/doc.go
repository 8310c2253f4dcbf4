// Package metric is the catalogue of metrics: what DCGM calls a reading, what others call it, its unit, its
// kind and the range in which it is believed.
//
// In comes a name of any source (a DCGM field of any generation, a column of a wide file or of nvidia-smi)
// and the text of a reading. Out go the canonical metric and the reading in the canonical unit, which is
// the one of dcgm-exporter up to 4.8, so that dashboards made for it stay right; or the reason why the
// reading is absent.
//
// Everything known of a metric is a line of catalogue.tsv, the names it has in each source too; lookup, the fields of
// the wide form and the proof of an exporter's generation are derived from it.
//
// It never parses files, keeps no state, and never turns an absent reading into a number.
package metric
