// Queryd answers queries over REST, GraphQL and WebSocket, from a view that one watch keeps current.
package main

import "telemetry-pipeline/deploy/daemon"

func main() {
	var s settings
	daemon.Main("queryd", s.flags, s.build, commands()...)
}
