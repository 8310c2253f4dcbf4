package daemon

import "errors"

// Opened holds everything that a Build has opened so far, the newest first: the order in which it is closed, whether
// by the parts it ends up in or because the Build fails.
type Opened []Part

// Add notes something that was opened and how it is closed.
func (o *Opened) Add(name string, close func() error) {
	*o = append(Opened{{Name: name, Close: close}}, *o...)
}

// Close closes everything.
func (o Opened) Close() error { return closeAll(o) }

// CloseOn closes everything when *err is set, and adds the errors of closing. Defer it with the Build's named
// result.
func (o *Opened) CloseOn(err *error) {
	if *err != nil {
		*err = errors.Join(*err, closeAll(*o))
	}
}
