package unpack

import "fmt"

// Kind is the kind of fault of a packed file.
type Kind int

// The kinds of errors.
const (
	Damaged     Kind = iota // broken off, or not of its declared format
	TooLarge                // more bytes than allowed, packed or unpacked
	Bomb                    // too many bytes for how few went in
	Locked                  // encrypted, and no identity opens it
	Unsupported             // packed in a way or as deep as is not supported
)

// Error refuses a packed file, with the next step for a person.
type Error struct {
	Kind  Kind
	text  string
	cause error // the library's error; may be nil
}

func (e *Error) Error() string { return e.text }

func (e *Error) Unwrap() error { return e.cause }

func newError(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{kind, fmt.Sprintf(format, args...), cause}
}

func damagedError(name string, err error) *Error {
	return newError(Damaged, err, "the %s file is damaged or breaks off: %v; check it, and send it again", name, err)
}
