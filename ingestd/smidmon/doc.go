// Package smidmon reads what nvidia-smi dmon and nvidia-smi pmon print: a line per GPU, or per process of a
// GPU, again and again.
//
// In come lines: headers (# gpu pwr gtemp …, and below the units), which may come again with other columns,
// and rows. Out goes a record per reading of a row. dmon's columns that DCGM has a field for are that field;
// the others keep their name. pmon's readings are of a part of the GPU, the process, under names of their
// own (process_sm_util), for they are shares of what the GPU as a whole does.
//
// The text names no host and mostly no times, so the sender does. Then the samples are counted: one ends when
// a GPU, or a process, comes again, or a smaller index comes. pmon prints nothing between samples, so a
// process that ended and one that began on the same GPU next to each other look like two of one sample; ask
// pmon for times (-o DT) where that matters.
//
// It never guesses a host or a time, and never makes a number of a "-".
package smidmon
