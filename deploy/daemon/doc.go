// Package daemon turns parts into a process that a platform can manage.
//
// In: parts, as structs of functions, and their flags. Out: a process with configuration from flags
// and environment, structured logs, an admin listener, and an ordered start and stop. It never knows
// the work of a part.
package daemon
