package graph

import (
	"errors"
	"fmt"

	"github.com/graphql-go/graphql/gqlerrors"
)

// requestError refuses a document before it is executed. Its text is for the sender.
type requestError struct {
	msg       string
	excessive bool // over a bound, or circular
}

func (e *requestError) Error() string { return e.msg }

// refuse is for documents that ask for nothing that there is.
func refuse(format string, args ...any) error {
	return &requestError{msg: fmt.Sprintf(format, args...)}
}

// excess is for documents that would take the process down, or too much of it.
func excess(format string, args ...any) error {
	return &requestError{msg: fmt.Sprintf(format, args...), excessive: true}
}

// invalidError refuses a document that breaks rules of the specification, each with its place.
type invalidError struct{ errors []gqlerrors.FormattedError }

func (e *invalidError) Error() string { return e.errors[0].Message }

func invalid(list []gqlerrors.FormattedError) error { return &invalidError{errors: list} }

// inputError is a resolver's error that the sender can mend.
type inputError struct{ msg string }

func (e *inputError) Error() string { return e.msg }

func badInput(format string, args ...any) error {
	return &inputError{msg: fmt.Sprintf(format, args...)}
}

// unansweredError is for what cannot be had, or not in time, by no fault of the sender, who is told its text.
type unansweredError struct{ msg string }

func (e *unansweredError) Error() string { return e.msg }

// errLoading is what the sender is told before there is a view to answer from.
var errLoading = &unansweredError{"the view is being loaded; try again in a moment"}

// errInternal is what the sender is told of an error that is ours; the log has the rest.
var errInternal = errors.New("internal error; the server's log tells more")
