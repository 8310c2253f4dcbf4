// Package program is the program collectd: its flags, its parts and its commands.
//
// In: the command line and the environment of the process. Out: the collector as a process, or one command's work. It is
// apart from package main so that a test can run as the program.
package program

import "telemetry-pipeline/deploy/daemon"

// Main runs collectd and exits, as daemon.Main does.
func Main() {
	var s settings
	daemon.Main("collectd", s.registerFlags, s.buildParts, allCommands()...)
}
