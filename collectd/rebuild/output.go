package rebuild

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// output writes lines that stay, and a progress line that is rewritten in place. Where nothing can be rewritten, the
// progress line is repeated from time to time.
type output struct {
	w         io.Writer
	terminal  bool
	open      bool // the last line is to be rewritten
	last      string
	printedAt time.Time // time of last
}

func newOutput(w io.Writer) *output {
	f, isFile := w.(*os.File)
	return &output{w: w, terminal: isFile && term.IsTerminal(int(f.Fd()))}
}

// printf writes a line that stays.
func (o *output) printf(format string, args ...any) {
	o.endLine()
	fmt.Fprintf(o.w, format+"\n", args...)
}

// printProgress writes a line that the next one replaces. Where lines stay, an unchanged one is written less often.
func (o *output) printProgress(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if o.terminal {
		fmt.Fprintf(o.w, "\r%s\x1b[K", text)
		o.open = true
		return
	}
	pause := printEvery
	if text == o.last {
		pause *= 10
	}
	if time.Since(o.printedAt) >= pause {
		o.printedAt, o.last = time.Now(), text
		fmt.Fprintln(o.w, text)
	}
}

func (o *output) endLine() {
	if o.open {
		fmt.Fprintln(o.w)
		o.open = false
	}
}
