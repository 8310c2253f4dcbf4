package query

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"telemetry-pipeline/queryd/graph"
	"telemetry-pipeline/queryd/socket"
)

// engine executes GraphQL over WebSocket (graph.Engine).
type engine interface {
	executor
	Subscribe(ctx context.Context, req graph.Request) (iter.Seq[[]byte], *graph.Result)
}

// operations adapts a GraphQL engine to sockets, so that neither package imports the other.
type operations struct {
	engine  engine
	timeout time.Duration // of a query
}

// Execute runs a query, which has one result, or a subscription, which has many. A refused operation returns errors
// instead.
func (o operations) Execute(ctx context.Context, op socket.Operation) (results iter.Seq[json.RawMessage], errors json.RawMessage) {
	req := graph.Request{Query: op.Query, OperationName: op.OperationName, Variables: op.Variables, Cluster: op.Cluster}
	limited, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	result := o.engine.Execute(limited, req)
	if result.Operation == "subscription" {
		return o.runSubscription(ctx, req)
	}
	if result.Refused {
		return nil, errorsOf(result.JSON)
	}
	return func(yield func(json.RawMessage) bool) { yield(result.JSON) }, nil
}

func (o operations) runSubscription(ctx context.Context, req graph.Request) (iter.Seq[json.RawMessage], json.RawMessage) {
	steps, refused := o.engine.Subscribe(ctx, req)
	if refused != nil {
		return nil, errorsOf(refused.JSON)
	}
	return func(yield func(json.RawMessage) bool) {
		for step := range steps {
			if !yield(step) {
				return
			}
		}
	}, nil
}

// errorsOf returns the errors of a response that has nothing else.
func errorsOf(response []byte) json.RawMessage {
	var r struct {
		Errors json.RawMessage `json:"errors"`
	}
	if err := json.Unmarshal(response, &r); err != nil || r.Errors == nil {
		return json.RawMessage(`[{"message":"internal error"}]`)
	}
	return r.Errors
}
