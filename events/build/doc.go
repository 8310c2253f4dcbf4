// Package build describes the build of the running program: its version, its revision and its toolchain.
//
// In: the build information that the Go toolchain stamps into a program. Out: that information for people, for status
// answers and for metrics. It never reads a variable that the linker sets, so that every build command has the same result.
package build
