// Package program is the program standalone: the parts of the three daemons on an embedded etcd.
//
// In: the command line and the environment of the process, a data directory. Out: the whole pipeline as one process, and
// on demand a simulated fleet that uploads to it. It is apart from package main so that a test can run as the program.
package program

import "telemetry-pipeline/deploy/daemon"

// Main runs standalone and exits, as daemon.Main does.
func Main() {
	var s settings
	s.announce = s.printGreeting
	daemon.Main("standalone", s.flags, s.buildParts)
}
