package graph

import (
	"errors"
	"fmt"

	"github.com/graphql-go/graphql"
)

// resolver gives a field's value from the current view or from history.
type resolver func(p graphql.ResolveParams) (any, error)

// field makes a field whose resolver cannot take the process down or tell a stranger of our insides: a
// panic and any error that the sender cannot mend are logged and masked.
func (e *Engine) field(of graphql.Output, description string, args graphql.FieldConfigArgument, resolve resolver) *graphql.Field {
	return &graphql.Field{Type: of, Description: description, Args: args, Resolve: e.masked(resolve)}
}

func (e *Engine) masked(resolve resolver) graphql.FieldResolveFn {
	return func(p graphql.ResolveParams) (value any, err error) {
		defer func() {
			if r := recover(); r != nil {
				value, err = nil, fmt.Errorf("panic: %v", r)
			}
			if err != nil && !forSender(err) {
				e.lg.Error("resolving a GraphQL field failed", "field", p.Info.FieldName, "err", err)
				err = errInternal
			}
		}()
		// The library does not stop at the end of a request: its caller returns and the rest runs on.
		if err := p.Context.Err(); err != nil {
			return nil, e.late()
		}
		return resolve(p)
	}
}

// forSender tells whether the text of an error is meant for the sender.
func forSender(err error) bool {
	_, mendable := errors.AsType[*inputError](err)
	_, told := errors.AsType[*unansweredError](err)
	return mendable || told
}

// of adapts a resolver that needs only its object.
func of[T any](get func(v view, source T) any) resolver {
	return func(p graphql.ResolveParams) (any, error) {
		source, _ := p.Source.(T)
		return get(root(p), source), nil
	}
}

// root gives the view that a field is answered from.
func root(p graphql.ResolveParams) view {
	v := current(p)
	if past, ok := v.moments.of(p.Info.Path); ok {
		return past
	}
	return v
}

// current gives the view of now.
func current(p graphql.ResolveParams) view {
	v, _ := p.Info.RootValue.(view)
	return v
}
