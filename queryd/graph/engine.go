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
	"github.com/graphql-go/graphql/language/ast"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// feeds provides the current view of a scope and its changes (live.Hub). IsBehind reports whether the views may be behind etcd.
type feeds interface {
	In(scope access.Scope) (*live.Feed, error)
	IsBehind() bool
}

// past provides pages of history (history.History).
type past interface {
	Telemetry(ctx context.Context, s *live.State, q history.Query) (history.Page, error)
	AsOf(ctx context.Context, s *live.State, at events.Timestamp, only []events.HostID) (*live.State, error)
	Buckets(ctx context.Context, s *live.State, q history.Query) (history.BucketPage, error)
}

// Config configures the engine. The zero value is the default.
type Config struct {
	NoIntrospection bool          // refuse __schema and __type
	ClusterID       string        // in the list of clusters, where there is one
	Tracer          *trace.Tracer // records the pushes of sampled uploads; nil: none
}

// Engine executes documents. It is safe for concurrent use.
type Engine struct {
	cfg     Config
	schema  graphql.Schema
	guard   *guard
	feeds   feeds         // nil: there are several clusters
	past    past          // of the one cluster
	several clusterSource // nil: there is one cluster
	lg      *slog.Logger
	now     func() time.Time
	rights  map[string]access.Right // of root fields, by "Query.field"; not changed after New

	operations      *prometheus.CounterVec
	degradedTimeout time.Duration
}

// New returns an engine.
func New(cfg Config, feeds feeds, past past, lg *slog.Logger) (*Engine, error) {
	return newEngine(&Engine{cfg: cfg, feeds: feeds, past: past}, lg)
}

// NewOfSeveral returns an engine that answers from several clusters. Root fields have an argument cluster, which selects one; without
// it they answer from all.
func NewOfSeveral(cfg Config, clusters clusterSource, lg *slog.Logger) (*Engine, error) {
	return newEngine(&Engine{cfg: cfg, several: clusters}, lg)
}

// newEngine completes an engine that knows its clusters.
func newEngine(e *Engine, lg *slog.Logger) (*Engine, error) {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	e.lg, e.now, e.rights, e.degradedTimeout = lg, time.Now, map[string]access.Right{}, degradedTimeout
	e.operations = newOperations()
	schema, err := e.newSchema()
	if err != nil {
		return nil, fmt.Errorf("building the GraphQL schema: %w", err)
	}
	e.schema = schema
	e.guard, err = newGuard(&e.schema, !e.cfg.NoIntrospection)
	return e, err
}

// Request is a GraphQL request, independent of its transport.
type Request struct {
	Query         string
	OperationName string
	Variables     map[string]any
	Cluster       string // of several: answer from this one, which the caller may see; "" for all
}

// Result is the answer to a Request.
type Result struct {
	JSON []byte
	// Refused means that nothing was executed: JSON has errors and no data.
	Refused bool
	// Excessive means that it was refused for its size, depth or cost, or for a cycle.
	Excessive bool
	// Unanswered means that it could not be answered, or not in time, for a reason outside the request.
	Unanswered bool
	// Operation is query, mutation or subscription; "" if the document was refused before its operation was known.
	Operation string

	failed bool // JSON has errors
}

// view is the root value of one execution: every field is resolved from one state of the view, except fields that ask
// for the past.
type view struct {
	state *live.State // nil: see parts
	*origin
	now       time.Time
	pastViews *pastViews
	prepared  *preparedLists // nil: lists are completed as the library does
}

// origin is where a view is from. It is apart, since views are copied for each field, and not changed once a view has it.
type origin struct {
	past    past     // reads the history of the state
	cluster string   // of the state, "" where there is one
	parts   *parts   // of several clusters; nil: the view is of one
	missing *missing // what an answer of several clusters lacks
}

// feedFor returns the feed of the scope of a request.
func (e *Engine) feedFor(ctx context.Context) (*live.Feed, error) {
	feed, err := e.feeds.In(access.ScopeFrom(ctx))
	if err != nil {
		return nil, errNoFeed
	}
	return feed, nil
}

func (e *Engine) newView(s *live.State) view {
	return view{state: s, origin: &origin{past: e.past}, now: e.now(), pastViews: &pastViews{views: make(map[any]view)}, prepared: &preparedLists{}}
}

// openView returns the view for a request, and an error to answer with while there is nothing to serve.
func (e *Engine) openView(ctx context.Context, cluster string) (v view, loading, err error) {
	if e.several != nil {
		v, loading = e.openParts(ctx, cluster)
		return v, loading, nil
	}
	feed, err := e.feedFor(ctx)
	if err != nil {
		return view{}, nil, err
	}
	if feed.Ready() != nil { // before the view is taken, which may be empty until then
		loading = errLoading
	}
	return e.newView(feed.State()), loading, nil
}

// run executes a document.
func (e *Engine) run(ctx context.Context, root view, doc *ast.Document, req Request) *graphql.Result {
	result := graphql.Execute(graphql.ExecuteParams{
		Schema: e.schema, AST: doc, OperationName: req.OperationName, Args: req.Variables, Root: root, Context: ctx,
	})
	if result.Data != nil && root.prepared != nil { // else it may be running still, since the library does not stop at the end of ctx
		root.prepared.insertInto(result.Data)
	}
	return result
}

// Execute runs a query. A subscription is refused; it goes to Subscribe.
func (e *Engine) Execute(ctx context.Context, req Request) Result {
	result := e.executeQuery(ctx, req)
	e.countOperation(&result)
	return result
}

func (e *Engine) executeQuery(ctx context.Context, req Request) Result {
	v, loading, err := e.openView(ctx, req.Cluster)
	if err != nil {
		return Result{Refused: true, Unanswered: true, JSON: refusalJSON(err)}
	}
	doc, op, err := e.guard.admitRequest(req, v.sizes())
	result := Result{}
	if op != nil {
		result.Operation = op.Operation
	}
	if err == nil && result.Operation == "subscription" {
		err = badRequest("subscriptions are served over WebSocket, subprotocol graphql-transport-ws")
	}
	if err != nil {
		over, ok := errors.AsType[*requestError](err)
		result.Excessive = ok && over.excessive
		result.Refused, result.JSON = true, refusalJSON(err)
		return result
	}
	if loading != nil { // the view would look like an empty fleet
		result.Refused, result.Unanswered, result.JSON = true, true, refusalJSON(loading)
		return result
	}
	answer := e.run(ctx, v, doc, req)
	v.missing.addTo(answer)
	if answer.Data == nil && ctx.Err() != nil { // the library answers with the text of ctx.Err
		result.Refused, result.Unanswered, result.JSON = true, true, refusalJSON(e.timeoutError())
		return result
	}
	// The library returns no data if it could not start, for example with bad variables, or if a non-null field
	// failed.
	result.Refused = answer.Data == nil && answer.HasErrors()
	result.Unanswered = result.Refused && anyServerFault(answer.Errors)
	result.JSON, result.failed = e.encodeResult(answer), answer.HasErrors()
	return result
}

// failure is a GraphQL response without data.
type failure struct {
	Errors []gqlerrors.FormattedError `json:"errors,omitempty"`
}

func (e *Engine) encodeResult(r *graphql.Result) []byte {
	text, err := appendResponse(nil, r)
	if err != nil {
		e.lg.Error("encoding a GraphQL result failed", "err", err)
		return refusalJSON(errInternal)
	}
	return text
}

// refusalJSON returns the response to a request that was not executed.
func refusalJSON(err error) []byte {
	list := []gqlerrors.FormattedError{gqlerrors.NewFormattedError(err.Error())}
	if many, ok := errors.AsType[*invalidError](err); ok {
		list = many.errors
	}
	text, err := json.Marshal(failure{Errors: list})
	if err != nil { // impossible: messages and locations always marshal
		return []byte(`{"errors":[{"message":"internal error"}]}`)
	}
	return text
}
