// Package program is the program queryd: its flags and its parts.
//
// In: the command line and the environment of the process. Out: the query server as a process. It is apart from package
// main so that a test can run as the program.
package program

import "telemetry-pipeline/deploy/daemon"

// Main runs queryd and exits, as daemon.Main does.
func Main() {
	var s settings
	daemon.Main("queryd", s.registerFlags, s.buildParts, queryCommands()...)
}
