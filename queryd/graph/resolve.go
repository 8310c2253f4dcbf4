package graph

import (
	"errors"
	"fmt"

	"github.com/graphql-go/graphql"
)

// resolver returns a field's value from the current view or from history.
type resolver func(p graphql.ResolveParams) (any, error)

// newField returns a field whose resolver can neither stop the process nor reveal internals: a panic, and any error
// that the sender cannot correct, are logged and masked.
func (e *Engine) newField(of graphql.Output, description string, args graphql.FieldConfigArgument, resolve resolver) *graphql.Field {
	if object := listedObject(of); object != nil {
		resolve = prepareList(object, resolve)
	}
	return &graphql.Field{Type: of, Description: description, Args: args, Resolve: e.maskErrors(resolve)}
}

func (e *Engine) maskErrors(resolve resolver) graphql.FieldResolveFn {
	return func(p graphql.ResolveParams) (value any, err error) {
		defer func() {
			if r := recover(); r != nil {
				value, err = nil, fmt.Errorf("panic: %v", r)
			}
			if err != nil && !forSender(err) {
				e.lg.ErrorContext(p.Context, "resolving a GraphQL field failed", "field", p.Info.FieldName, "err", err)
				err = errInternal
			}
		}()
		// The library does not stop at the end of a request: its caller returns while the rest runs on.
		if err := p.Context.Err(); err != nil {
			return nil, e.timeoutError()
		}
		return resolve(p)
	}
}

// forSender reports whether the text of an error is meant for the sender.
func forSender(err error) bool {
	_, mendable := errors.AsType[*inputError](err)
	_, unanswered := errors.AsType[*unansweredError](err)
	return mendable || unanswered
}

// fromSource adapts a resolver that needs only its object.
func fromSource[T any](get func(v view, source T) any) resolver {
	return func(p graphql.ResolveParams) (any, error) {
		source, _ := p.Source.(T)
		return get(fieldView(p), source), nil
	}
}

// fieldView returns the view from which a field is resolved.
func fieldView(p graphql.ResolveParams) view {
	v := currentView(p)
	if past, ok := v.pastViews.viewOf(p.Info.Path); ok {
		v = past
	}
	if v.parts != nil {
		return v.parts.ownerOf(p.Source, v)
	}
	return v
}

// readableView returns the view from which history is read: the current one, also below a field that asks for the past.
func readableView(p graphql.ResolveParams) view {
	v := currentView(p)
	if v.parts == nil {
		return v
	}
	if part, ok := v.parts.find(fieldView(p).cluster); ok {
		return part
	}
	return v
}

// currentView returns the current view.
func currentView(p graphql.ResolveParams) view {
	v, _ := p.Info.RootValue.(view)
	return v
}
