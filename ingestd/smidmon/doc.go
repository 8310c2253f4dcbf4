// Package smidmon reads the output of nvidia-smi dmon and nvidia-smi pmon: repeatedly a line per GPU, or per process
// of a GPU.
//
// In come lines: headers (# gpu pwr gtemp …, with the units below), which may return with other columns, and rows.
// Out goes a record per reading of a row. dmon's columns that DCGM has a field for are that field; the others keep
// their name. pmon's readings belong to a part of the GPU, the process, under names of their own (process_sm_util),
// because they are shares of the use of the whole GPU.
//
// The text names no host and mostly no times, so the sender supplies them. Then the samples are counted: one ends
// when a GPU, or a process, comes again, or a smaller index comes. pmon prints nothing between samples, so a process
// that ended and one that began on the same GPU next to each other look like two of one sample; have pmon print times
// (-o DT) where that matters.
//
// It never guesses a host or a time, and never makes a number of a "-".
package smidmon
