// Collectd folds the event log into projections, and keeps what the log has had.
package main

import "telemetry-pipeline/collectd/program"

func main() { program.Main() }
