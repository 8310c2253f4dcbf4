// Package dcgmdmon reads the output of dcgmi dmon: repeatedly a line per GPU, MIG instance, link, switch or CPU.
//
// In come lines: headers (#Entity and DCGM's short names, with the units below), which return every 14 samples, and
// rows. Out goes a record per cell. A row of a GPU is identified by its index. DCGM's numbers of MIG instances differ
// from the driver's and do not identify the GPU, so such a row has an entity of its own (gpu_i:1), as have switches,
// CPUs and other parts; the label dcgm_entity keeps the name that dcgmi printed.
//
// The text names no host and no times, so the sender supplies them, and the samples are counted: a sample ends when
// an entity comes again, or a GPU of smaller index comes.
//
// It never guesses a host, a time or an entity's GPU, and never takes a text that dcgmi cut off for the whole.
package dcgmdmon
