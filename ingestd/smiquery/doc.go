// Package smiquery reads the CSV output of nvidia-smi --query-gpu: a row per GPU and query, a column per property,
// with a header or without (?columns=), with units in the header, in the cells, in both or in neither.
//
// In come rows in file order. Out goes a record per cell that is a reading, or that holds the reason of a missing
// one; names and descriptions of the GPU go into its identity. Half of a row can be absent. Logs that were appended
// to may change their columns in the middle, where a driver was replaced.
//
// It never speaks HTTP, never invents a host, a time or a GPU, and never makes a number of an absent cell.
package smiquery
