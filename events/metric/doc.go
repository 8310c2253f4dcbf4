// Package metric is the catalogue of metrics: the DCGM name of a reading, its names in other sources, its unit, its
// kind and its plausible range.
//
// In: a name from any source (a DCGM field of any generation, a column of a wide file or of nvidia-smi) and the text
// of a reading. Out: the canonical metric and the reading in the canonical unit, or the reason why the reading is
// absent. The canonical unit is the unit of dcgm-exporter up to 4.8, so that dashboards made for it stay right.
//
// Each metric is a line of catalogue.tsv, including its names in all sources; lookup, the fields of the wide form and
// the proof of an exporter's generation are derived from it.
//
// It never parses files, keeps no state, and never turns an absent reading into a number.
package metric
