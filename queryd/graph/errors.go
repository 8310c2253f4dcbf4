package graph

import (
	"errors"
	"fmt"

	"github.com/graphql-go/graphql/gqlerrors"
)

// requestError refuses a document before it is executed. Its text is for the sender.
type requestError struct {
	msg       string
	excessive bool // over a bound, or cyclic
}

func (e *requestError) Error() string { return e.msg }

// badRequest returns the refusal of a document that is invalid or not served here.
func badRequest(format string, args ...any) error {
	return &requestError{msg: fmt.Sprintf(format, args...)}
}

// overLimit returns the refusal of a document that would exhaust the process.
func overLimit(format string, args ...any) error {
	return &requestError{msg: fmt.Sprintf(format, args...), excessive: true}
}

// invalidError refuses a document that breaks rules of the specification, each with its position.
type invalidError struct{ errors []gqlerrors.FormattedError }

func (e *invalidError) Error() string { return e.errors[0].Message }

func invalidDocument(list []gqlerrors.FormattedError) error { return &invalidError{errors: list} }

// inputError is a resolver's error that the sender can correct.
type inputError struct{ msg string }

func (e *inputError) Error() string { return e.msg }

func badInput(format string, args ...any) error {
	return &inputError{msg: fmt.Sprintf(format, args...)}
}

// unansweredError reports data that is unavailable, or not available in time, for a reason outside the request. Its
// text is for the sender.
type unansweredError struct{ msg string }

func (e *unansweredError) Error() string { return e.msg }

// errLoading is the answer before there is a view.
var errLoading = &unansweredError{"the view is being loaded; try again in a moment"}

// errNoFeed is the answer while the views of too many scopes are served, and at the end of the server.
var errNoFeed = &unansweredError{"the view of your scope cannot be served at the moment; try again later"}

// errInternal is the text sent for a server error; the log has the cause.
var errInternal = errors.New("internal error; see the server's log")
