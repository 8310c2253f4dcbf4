package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/gqlerrors"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// hub gives the current view and its changes (live.Hub).
type hub interface {
	State() *live.State
	Ready() error
	Degraded() error
	Subscribe(o live.Options) (*live.Subscription, error)
}

// past gives pages of history (history.History).
type past interface {
	Telemetry(ctx context.Context, s *live.State, q history.Query) (history.Page, error)
	AsOf(ctx context.Context, s *live.State, at events.Timestamp, only []events.HostID) (*live.State, error)
	Buckets(ctx context.Context, s *live.State, q history.Query) (history.BucketPage, error)
}

// Config of the engine. The zero value is the default.
type Config struct {
	NoIntrospection bool // refuse __schema and __type
}

// Engine executes documents. Safe for concurrent use.
type Engine struct {
	schema graphql.Schema
	guard  *guard
	hub    hub
	past   past
	lg     *slog.Logger
	now    func() time.Time

	degradedPatience time.Duration
}

// New makes an engine.
func New(cfg Config, hub hub, past past, lg *slog.Logger) (*Engine, error) {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	e := &Engine{hub: hub, past: past, lg: lg, now: time.Now, degradedPatience: degradedPatience}
	schema, err := e.newSchema()
	if err != nil {
		return nil, fmt.Errorf("building the GraphQL schema: %w", err)
	}
	e.schema = schema
	e.guard, err = newGuard(&e.schema, !cfg.NoIntrospection)
	return e, err
}

// Request is a GraphQL request as any transport carries it.
type Request struct {
	Query         string
	OperationName string
	Variables     map[string]any
}

// Result is the answer to a Request.
type Result struct {
	JSON []byte
	// Refused means that nothing was executed: JSON has errors and no data.
	Refused bool
	// Excessive says that it was refused for its size, depth or cost, or for going round in circles.
	Excessive bool
	// Unanswered says that it could not be answered, or not in time, for a reason that is not the sender's.
	Unanswered bool
	// Operation is query, mutation or subscription; "" when the document has not got that far.
	Operation string
}

// view is the root value of one execution: everything in it answers from one state of the view, but for fields that
// ask for the past.
type view struct {
	state   *live.State
	now     time.Time
	moments *moments
}

func (e *Engine) view() view {
	return view{state: e.hub.State(), now: e.now(), moments: &moments{views: make(map[any]view)}}
}

// Execute runs a query. A subscription is refused; it goes to Subscribe.
func (e *Engine) Execute(ctx context.Context, req Request) Result {
	loading := e.hub.Ready() // asked before the view is taken, which may be empty until then
	v := e.view()
	doc, op, err := e.guard.admit(req, sizes{hosts: len(v.state.Hosts()), gpus: len(v.state.GPUs())})
	result := Result{}
	if op != nil {
		result.Operation = op.Operation
	}
	if err == nil && result.Operation == "subscription" {
		err = refuse("subscriptions are served over WebSocket, subprotocol graphql-transport-ws")
	}
	if err != nil {
		over, ok := errors.AsType[*requestError](err)
		result.Excessive = ok && over.excessive
		result.Refused, result.JSON = true, refusal(err)
		return result
	}
	if loading != nil { // it would be answered from as an empty fleet
		result.Refused, result.Unanswered, result.JSON = true, true, refusal(errLoading)
		return result
	}
	answer := graphql.Execute(graphql.ExecuteParams{
		Schema: e.schema, AST: doc, OperationName: req.OperationName, Args: req.Variables, Root: v, Context: ctx,
	})
	if answer.Data == nil && ctx.Err() != nil { // the library answers with the text of ctx.Err
		result.Refused, result.Unanswered, result.JSON = true, true, refusal(e.late())
		return result
	}
	// The library gives no data when it could not start: bad variables. Nor when a field failed that cannot be null.
	result.Refused = answer.Data == nil && answer.HasErrors()
	result.Unanswered = result.Refused && ours(answer.Errors)
	result.JSON = e.encode(answer)
	return result
}

// failure is a GraphQL response without data.
type failure struct {
	Errors []gqlerrors.FormattedError `json:"errors,omitempty"`
}

func (e *Engine) encode(r *graphql.Result) []byte {
	text, err := appendResponse(nil, r)
	if err != nil {
		e.lg.Error("encoding a GraphQL result failed", "err", err)
		return refusal(errInternal)
	}
	return text
}

// refusal is the response to a request that was not executed.
func refusal(err error) []byte {
	list := []gqlerrors.FormattedError{gqlerrors.NewFormattedError(err.Error())}
	if many, ok := errors.AsType[*invalidError](err); ok {
		list = many.errors
	}
	text, err := json.Marshal(failure{Errors: list})
	if err != nil { // cannot be: messages and locations always marshal
		return []byte(`{"errors":[{"message":"internal error"}]}`)
	}
	return text
}
