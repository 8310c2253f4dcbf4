package transfer

import (
	"fmt"
	"io"
	"time"
)

// progressEvery is the interval of progress lines.
const progressEvery = 2 * time.Second

// progress writes progress lines.
type progress struct {
	w        io.Writer
	last     time.Time
	position string
}

func newProgress(w io.Writer) *progress { return &progress{w: w, last: time.Now()} }

// reportSometimes writes a progress line if the last one is progressEvery old.
func (t *progress) reportSometimes(format string, args ...any) {
	if time.Since(t.last) >= progressEvery {
		t.last = time.Now()
		t.printLine(format, args...)
	}
}

// printLine writes a line in any case.
func (t *progress) printLine(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }
