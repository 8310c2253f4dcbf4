// Collectd folds the event log into projections, and keeps what the log has had.
package main

import "telemetry-pipeline/deploy/daemon"

func main() {
	var s settings
	daemon.Main("collectd", s.flags, s.build, commands()...)
}
