package query

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"telemetry-pipeline/queryd/graph"
)

// fixedExecutor returns the same result for every request, and keeps the last request.
type fixedExecutor struct {
	result graph.Result
	got    graph.Request
}

func (e *fixedExecutor) Execute(_ context.Context, req graph.Request) graph.Result {
	e.got = req
	return e.result
}

func TestGraphQLOverHTTP(t *testing.T) {
	s := newServer(t, Config{})
	ok := graph.Result{JSON: []byte(`{"data":{"a":1}}`), Operation: "query"}
	bad := graph.Result{JSON: []byte(`{"errors":[{"message":"no"}]}`), Refused: true}
	mutation, subscription, unanswered := bad, bad, bad
	unanswered.Unanswered = true
	mutation.Operation, subscription.Operation = "mutation", "subscription"
	const body = `{"query":"q"}`
	for _, c := range []struct {
		what, method, target, kind, accept, body string
		result                                   graph.Result
		status                                   int
		media                                    string
	}{
		{"query by GET", "GET", "/graphql?query=q", "", "", "", ok, 200, plainJSON},
		{"query by POST", "POST", "/graphql", plainJSON, "", body, ok, 200, plainJSON},
		{"charset", "POST", "/graphql", plainJSON + "; charset=UTF-8", "", body, ok, 200, plainJSON},
		{"other charset", "POST", "/graphql", plainJSON + "; charset=latin1", "", body, ok, 415, plainJSON},
		{"any type", "POST", "/graphql", plainJSON, "*/*", body, ok, 200, plainJSON},
		{"own type", "POST", "/graphql", plainJSON, graphqlJSON, body, ok, 200, graphqlJSON},
		{"own type first", "POST", "/graphql", plainJSON, graphqlJSON + ", " + plainJSON, body, ok, 200, graphqlJSON},
		{"own type less", "POST", "/graphql", plainJSON, graphqlJSON + ";q=0.5, application/*", body, ok, 200, plainJSON},
		{"no type we have", "POST", "/graphql", plainJSON, "text/html", body, ok, 406, plainJSON},
		{"refused type", "POST", "/graphql", plainJSON, plainJSON + ";q=0", body, ok, 406, plainJSON},
		{"refused document", "POST", "/graphql", plainJSON, "", body, bad, 200, plainJSON},
		{"refused document, own type", "POST", "/graphql", plainJSON, graphqlJSON, body, bad, 400, graphqlJSON},
		{"unanswered", "POST", "/graphql", plainJSON, "", body, unanswered, 200, plainJSON},
		{"unanswered, own type", "POST", "/graphql", plainJSON, graphqlJSON, body, unanswered, 503, graphqlJSON},
		{"mutation by GET", "GET", "/graphql?query=q", "", "", "", mutation, 405, plainJSON},
		{"mutation by POST", "POST", "/graphql", plainJSON, graphqlJSON, body, mutation, 400, graphqlJSON},
		{"subscription", "POST", "/graphql", plainJSON, "", body, subscription, 400, plainJSON},
		{"form", "POST", "/graphql", "application/x-www-form-urlencoded", "", "query=q", ok, 415, plainJSON},
		{"no type", "POST", "/graphql", "", "", body, ok, 415, plainJSON},
		{"no JSON", "POST", "/graphql", plainJSON, "", "{", ok, 400, plainJSON},
		{"array", "POST", "/graphql", plainJSON, "", "[" + body + "]", ok, 400, plainJSON},
		{"null", "POST", "/graphql", plainJSON, "", "null", ok, 400, plainJSON},
		{"no query", "POST", "/graphql", plainJSON, graphqlJSON, "{}", ok, 400, graphqlJSON},
		{"no query by GET", "GET", "/graphql", "", "", "", ok, 400, plainJSON},
		{"query is no text", "POST", "/graphql", plainJSON, "", `{"query":1}`, ok, 400, plainJSON},
		{"name is no text", "POST", "/graphql", plainJSON, "", `{"query":"q","operationName":{}}`, ok, 400, plainJSON},
		{"variables are no object", "POST", "/graphql", plainJSON, "", `{"query":"q","variables":[1]}`, ok, 400, plainJSON},
		{"variables are text", "GET", "/graphql?query=q&variables=%22a%22", "", "", "", ok, 400, plainJSON},
		{"extensions are no object", "POST", "/graphql", plainJSON, "", `{"query":"q","extensions":"x"}`, ok, 400, plainJSON},
		{"all null", "POST", "/graphql", plainJSON, "", `{"query":"q","operationName":null,"variables":null,"extensions":null}`, ok, 200, plainJSON},
	} {
		engine := &fixedExecutor{result: c.result}
		s.graph = engine
		var header []string
		if c.kind != "" {
			header = append(header, "Content-Type", c.kind)
		}
		if c.accept != "" {
			header = append(header, "Accept", c.accept)
		}
		got := ask(t, s, c.method, c.target, c.body, header...)
		if media := got.header.Get("Content-Type"); got.status != c.status || media != c.media+"; charset=utf-8" {
			t.Errorf("%s: %d %s, want %d %s: %s", c.what, got.status, media, c.status, c.media, got.body)
		}
		if again := got.header.Get("Retry-After"); (again != "") != (c.status == 503) {
			t.Errorf("%s: Retry-After %q with %d", c.what, again, c.status)
		}
		var out struct {
			Data   map[string]any
			Errors []struct{ Message string }
		}
		if err := json.Unmarshal([]byte(got.body), &out); err != nil || (out.Data == nil) == (len(out.Errors) == 0) {
			t.Errorf("%s: neither data nor errors, or both: %s", c.what, got.body)
		}
	}
	engine := &fixedExecutor{result: ok}
	s.graph = engine
	ask(t, s, "GET", `/graphql?query=q&operationName=N&variables=%7B%22a%22%3A%5B1%5D%7D`, "")
	if got := fmt.Sprint(engine.got); got != `{q N map[a:[1]] }` {
		t.Errorf("the engine got %s", got)
	}
}
