// Collectd folds the event log into projections, and retains and archives its events.
package main

import "telemetry-pipeline/collectd/program"

func main() { program.Main() }
