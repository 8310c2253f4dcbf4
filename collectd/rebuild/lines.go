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
	last     string
	told     time.Time // when last was
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

// progress writes a line that the next one takes the place of. Where lines stay, one that says nothing new is seldom
// written.
func (l *lines) progress(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if l.terminal {
		fmt.Fprintf(l.w, "\r%s\x1b[K", text)
		l.open = true
		return
	}
	pause := tellEvery
	if text == l.last {
		pause *= 10
	}
	if time.Since(l.told) >= pause {
		l.told, l.last = time.Now(), text
		fmt.Fprintln(l.w, text)
	}
}

func (l *lines) close() {
	if l.open {
		fmt.Fprintln(l.w)
		l.open = false
	}
}
