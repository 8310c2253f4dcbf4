package upload

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cheggaaa/pb/v3"
	"golang.org/x/term"
)

// progress shows how far the files are: a bar on a terminal, lines elsewhere.
type progress struct {
	w   io.Writer
	bar *pb.ProgressBar // nil: lines

	mu sync.Mutex
}

const barTemplate pb.ProgressBarTemplate = `{{counters . }} {{bar . }} {{percent . }} {{speed . "%s/s" " "}} {{rtime . "%s left" "in %s" " "}}`

// newProgress begins to show the sending of so many bytes.
func newProgress(w io.Writer, total int64, quiet bool) *progress {
	if quiet {
		return &progress{w: io.Discard}
	}
	p := &progress{w: w}
	if isTerminal(w) {
		p.bar = barTemplate.New(0).SetTotal(total).Set(pb.Bytes, true).SetWriter(w).SetRefreshRate(100 * time.Millisecond).Start()
	}
	return p
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// sent counts bytes; a failed attempt takes its own back.
func (p *progress) sent(n int64) {
	if p.bar != nil {
		p.bar.Add64(n)
	}
}

// say writes a line; on a terminal above the bar.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	if p.bar != nil {
		line = "\r\x1b[2K" + line
	}
	fmt.Fprintln(p.w, line)
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Finish()
	}
}
