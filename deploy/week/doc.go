// Week plays a long history of a simulated fleet through a standalone process, as fast as that takes it, and
// measures the sizes of etcd and archive and the time of queries.
//
//	go run ./deploy/week                        a week of 250 GPUs, 10 metrics every 30 s
//	go run ./deploy/week -days 1 -gpus 64       a smaller one
//
// In: the size of the fleet and the history. Out: a report; exit code 1 when a bound is not kept. It never
// uses anything but a user's means: the program, uploads and queries.
package main
