package live

import "errors"

var (
	// ErrSlow ends an EventsMode subscription whose queue was full; resume from the last token.
	ErrSlow = errors.New("subscriber too slow; resume from the last token")
	// ErrClosed ends a subscription that was closed, or whose hub stopped.
	ErrClosed = errors.New("subscription closed")
	// ErrTooManyScopes refuses a scope while as many others are served as the hub takes. It mends itself.
	ErrTooManyScopes = errors.New("too many different scopes are served at the moment; try again later")
	// ErrBehind is the error of Degraded in a scope that is not of everything: the reason may name hosts outside of it.
	ErrBehind = errors.New("the view may be behind the stored projections")
	// ErrLoading is the error of Ready before the first load.
	ErrLoading = errors.New("loading the projections: not current yet")
)
