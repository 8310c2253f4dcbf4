// Peers measures this system beside VictoriaMetrics, and beside Prometheus where it has an equivalent, on the same rows.
//
//	go run ./deploy/peers                              every row, about 40 minutes on two cores
//	go run ./deploy/peers -quick                       every row at a tenth of its size, about 5 minutes
//	go run ./deploy/peers -only history -data /tmp/p   some rows, on data that is loaded once and kept
//	go run ./deploy/peers -binary ./other              another build of standalone on the same data
//
// The servers are processes on loopback, started with the flags that this program prints. A row is measured in rounds;
// in a round both servers do the same work one after the other, so that other work on the machine affects both alike,
// and the figure that counts is the median over the rounds of the ratio within a round. Answers are compared before
// they are timed, and a difference ends the row.
//
// In: flags. Out: a report on standard output, on request as JSON, and as the generated tables and curves of
// docs/PERFORMANCE.md. It uses only means that users have: programs, uploads and queries.
package main
