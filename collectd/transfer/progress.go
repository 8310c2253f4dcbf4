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
func (p *progress) reportSometimes(format string, args ...any) {
	if time.Since(p.last) >= progressEvery {
		p.last = time.Now()
		p.printLine(format, args...)
	}
}

// printLine writes a line in any case.
func (p *progress) printLine(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }
