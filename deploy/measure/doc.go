// Package measure runs servers as processes and measures them from outside: their processor time, memory and open
// files, as the kernel counts them.
//
// In: a program with its arguments. Out: a running process, and figures about it. It also has the few statistics
// that reports are made of. It never looks into a server, and knows no row of any report.
package measure
