// Package dcgmdmon reads what dcgmi dmon prints: a line per GPU, MIG instance, link, switch or CPU, again and
// again.
//
// In come lines: headers (#Entity and DCGM's short names, and below the units), which come again every 14
// samples, and rows. Out goes a record per cell. A row of a GPU is known by its index. DCGM's numbers of MIG
// instances are not those of the driver and do not tell the GPU, so such a row is of an entity of its own
// (gpu_i:1), as are those of switches, CPUs and other parts; what dcgmi called it is the label dcgm_entity.
//
// The text names no host and no times, so the sender does, and the samples are counted: one ends when an
// entity comes again, or a GPU of smaller index comes.
//
// It never guesses a host, a time or an entity's GPU, and never takes a text that dcgmi cut off for the whole.
package dcgmdmon
