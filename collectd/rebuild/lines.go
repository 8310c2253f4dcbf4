package rebuild

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// lines writes what there is to tell: lines that stay, and one that is rewritten, which where nothing can be rewritten
// is a line from time to time.
type lines struct {
	w        io.Writer
	terminal bool
	open     bool // the last line is to be rewritten
	told     time.Time
}

func newLines(w io.Writer) *lines {
	f, isFile := w.(*os.File)
	return &lines{w: w, terminal: isFile && term.IsTerminal(int(f.Fd()))}
}

// tell writes a line that stays.
func (l *lines) tell(format string, args ...any) {
	l.close()
	fmt.Fprintf(l.w, format+"\n", args...)
}

// progress writes a line that the next one takes the place of.
func (l *lines) progress(format string, args ...any) {
	if l.terminal {
		fmt.Fprintf(l.w, "\r"+format+"\x1b[K", args...)
		l.open = true
		return
	}
	if time.Since(l.told) >= tellEvery {
		l.told = time.Now()
		fmt.Fprintf(l.w, format+"\n", args...)
	}
}

func (l *lines) close() {
	if l.open {
		fmt.Fprintln(l.w)
		l.open = false
	}
}
