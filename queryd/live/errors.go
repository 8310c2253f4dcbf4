package live

import "errors"

var (
	// ErrSlow ends an EventsMode subscription whose queue was full; resume from the last token.
	ErrSlow = errors.New("subscriber too slow; resume from the last token")
	// ErrClosed ends a subscription that was closed, or whose hub stopped.
	ErrClosed = errors.New("subscription closed")
	// ErrLoading is the error of Ready before the first load.
	ErrLoading = errors.New("loading the projections: not current yet")
)
