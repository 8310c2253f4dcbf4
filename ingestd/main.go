// Ingestd takes telemetry files over HTTP and appends their records to the event log.
package main

import "telemetry-pipeline/ingestd/program"

func main() { program.Main() }
