package transfer

import (
	"fmt"
	"io"
	"time"
)

// tellEvery is how often progress is told.
const tellEvery = 2 * time.Second

// told tells people how far it is.
type told struct {
	w     io.Writer
	last  time.Time
	where string
}

func newTold(w io.Writer) *told { return &told{w: w, last: time.Now()} }

// now tells how far it is, from time to time.
func (t *told) now(format string, args ...any) {
	if time.Since(t.last) >= tellEvery {
		t.last = time.Now()
		t.end(format, args...)
	}
}

// end tells what is to be told in any case.
func (t *told) end(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }
