// Queryd answers queries over REST, GraphQL and WebSocket, from a view that one watch keeps current.
package main

import "telemetry-pipeline/queryd/program"

func main() { program.Main() }
