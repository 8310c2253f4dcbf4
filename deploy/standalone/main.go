// Command standalone runs the whole pipeline in one process on one machine: an embedded etcd, the upload
// server, a collector and the query server, from the same packages as the three daemons.
//
//	go run ./deploy/standalone          waits for uploads; data stays in ./data
//	go run ./deploy/standalone --demo   plays a simulated fleet into itself, data thrown away
package main

import "telemetry-pipeline/deploy/standalone/program"

func main() { program.Main() }
