// Soak drives a steady stream of scrapes into a standalone process for a long time, asks it a question each second, and fails when anything that should
// stay flat grows: memory, goroutines, file handles, the size of etcd, or the lag of the fold.
//
//	go run ./deploy/soak                                     an hour, 2,000 GPUs every second
//	go run ./deploy/soak -duration 3m -gpus 400              for CI
//
// So that hours of history end, leave etcd and are merged within the run, the times of the readings run faster than the
// clock: two days of readings pass, and end two hours before the run does. Archiving, the hot window and compaction are
// set to parts of the duration for the same reason, and the cache of history is small, so that the process has reached its steady state by the middle.
//
// # The rule
//
// The first half is not judged. Over the second half a quantity's growth is its median slope between all pairs of
// samples (the estimate of Theil and Sen, which a quarter of outliers cannot move) times the length of the half. It is
// flat if that is at most a tenth of its mean over the half (not of goroutines and files), or at most an allowance that is stated
// in the report, below which growth does not matter. A quantity that cannot be sampled in nine of ten seconds fails as well, and so do an
// upload that is refused for good, a question without an answer and a stream that falls behind its pace by more than a tenth.
//
// In: flags. Out: a report on standard output, on request the samples as CSV; exit code 1 when something is not flat. It
// never uses anything but a user's means: the program, uploads, and the pages of the admin listener.
package main
