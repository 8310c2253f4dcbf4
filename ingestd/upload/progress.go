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

// progress shows how much of the files is sent: as a bar on a terminal, as lines elsewhere.
type progress struct {
	w   io.Writer
	bar *pb.ProgressBar // nil: lines

	mu sync.Mutex
}

const barTemplate pb.ProgressBarTemplate = `{{counters . }} {{bar . }} {{percent . }} {{speed . "%s/s" " "}} {{rtime . "%s left" "in %s" " "}}`

// newProgress starts the display for a total number of bytes.
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

// addBytes counts sent bytes; n is negative when a failed attempt is discounted.
func (p *progress) addBytes(n int64) {
	if p.bar != nil {
		p.bar.Add64(n)
	}
}

// printLine writes a line; on a terminal it replaces the bar, which is drawn again below.
func (p *progress) printLine(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	if p.bar != nil {
		line = "\r\x1b[2K" + line
	}
	fmt.Fprintln(p.w, line)
}

func (p *progress) finishBar() {
	if p.bar != nil {
		p.bar.Finish()
	}
}
