package program

import "testing"

// A surface that is off is not shown as a place to connect to.
func TestTheGreetingShowsOnlyStreamsThatAreServed(t *testing.T) {
	const queries = "http://localhost:8080"
	var s settings
	for _, c := range []struct {
		noWebSocket, noGraphQL bool
		want                   string
	}{
		{false, false, "http://localhost:8080/ws (WebSocket), /graphql"},
		{false, true, "http://localhost:8080/ws (WebSocket)"},
		{true, false, "off, since enable-websocket (ENABLE_WEBSOCKET) is false"},
		{true, true, "off, since enable-websocket (ENABLE_WEBSOCKET) is false"},
	} {
		s.serving.NoWebSocket, s.serving.NoGraphQL = c.noWebSocket, c.noGraphQL
		if got := s.listStreams(queries); got != c.want {
			t.Errorf("without WebSocket %v, without GraphQL %v: got %q, want %q", c.noWebSocket, c.noGraphQL, got, c.want)
		}
	}
}
