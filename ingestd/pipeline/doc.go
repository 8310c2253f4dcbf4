// Package pipeline processes files: their rows become records, their records events, and the events go to the log.
//
// In come intake.Files and Parameters; out go appended events and, for each file, an answer.Receipt. The stages of a file
// are: detection of its dialect → rows (cut at line ends) → workers (rows to records, side by side) → sequencer (back in
// file order, cut into events per host) → log (several appends under way) → receipt. Each stage waits for the next, so the
// bytes in flight are bounded by Config for files of any size, and a slow log slows the client down.
//
// Promises: the events depend on the file's content alone, not on network chunks or the number of workers, so a repeated
// upload finds them in the log. Only records beyond a bound of the fleet (package bounds) depend on other uploads as well:
// they are rejected before the events are cut. A bad cell costs that cell and a bad row that row. A panic of a stage ends one file. A
// strict upload is processed twice, the first time without appending.
//
// It never holds a whole file in memory, never knows a column's name, and knows no HTTP.
package pipeline
