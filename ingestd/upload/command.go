package upload

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
)

// Command uploads the files named on a command line.
type Command struct {
	Config
	JSON  bool // print the server's answers, one per line, instead of the table
	Quiet bool // show no progress
}

// Flags registers the command's flags.
func (c *Command) Flags(fs *flag.FlagSet) {
	c.Config.Flags(fs)
	c.Config.fileFlags(fs)
	fs.BoolVar(&c.JSON, "json", false, "write the server's answers, one per line, instead of the table")
	fs.BoolVar(&c.Quiet, "quiet", false, "show no progress")
}

// Run uploads the files in args ("-" is in), and writes the results to out and progress to errs. It returns the exit
// code. An error means that the command line is wrong and nothing was sent.
func (c *Command) Run(ctx context.Context, in io.Reader, out, errs io.Writer, args []string) (code int, err error) {
	if len(args) == 0 {
		return 0, errors.New("name the files to upload, or - for the standard input")
	}
	client, err := New(c.Config)
	if err != nil {
		return 0, err
	}
	files, done, err := findSources(ctx, args, in)
	defer done()
	if err != nil && ctx.Err() != nil {
		fmt.Fprintf(errs, "nothing was sent: %v\n", err)
		return codeFailed, nil
	}
	if err != nil {
		return 0, err
	}
	results := c.sendAll(ctx, client, files, errs)
	if c.JSON {
		printAnswers(out, results)
	} else {
		printSummary(out, results)
	}
	for _, r := range results {
		code = max(code, r.exitCode())
	}
	return code, nil
}

// sendAll sends the files, cfg.Parallel at a time, and returns the results in the order of the files.
func (c *Command) sendAll(ctx context.Context, client *Client, files []Source, errs io.Writer) []result {
	var total int64
	for _, f := range files {
		total += f.Size
	}
	shown := newProgress(errs, total, c.Quiet)
	defer shown.finishBar()
	results := make([]result, len(files))
	free := make(chan struct{}, client.cfg.Parallel)
	var sending sync.WaitGroup
	for i, f := range files {
		free <- struct{}{}
		sending.Go(func() {
			defer func() { <-free }()
			results[i] = sendFile(ctx, client, f, shown)
		})
	}
	sending.Wait()
	return results
}

// sendFile sends one file and shows its progress.
func sendFile(ctx context.Context, client *Client, f Source, shown *progress) result {
	began := time.Now()
	var mu sync.Mutex // the transport calls count in its own goroutine
	var counted int64
	count := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		counted += n
		shown.addBytes(n)
	}
	answer, err := client.Send(ctx, f, count, func(a Attempt) {
		mu.Lock()
		defer mu.Unlock()
		shown.addBytes(-counted)
		counted = 0
		shown.printLine("%s: %v; again in %s", f.Name, a.Err, a.RetryIn.Round(100*time.Millisecond))
	})
	r := result{name: f.Name, size: f.Size, answer: answer, err: err, took: time.Since(began)}
	if answer == nil {
		shown.printLine("%s: %s", f.Name, r.statusWord())
	} else {
		shown.printLine("%s: %s sent, %s", f.Name, humanize.IBytes(uint64(max(0, f.Size))), r.statusWord())
	}
	return r
}

// printAnswers writes the server's answers unchanged, one per line. A file without an answer gets an object with its
// error.
func printAnswers(w io.Writer, all []result) {
	for _, r := range all {
		if r.answer != nil && len(r.answer.Raw) > 0 {
			fmt.Fprintf(w, "%s\n", compactLine(r.answer.Raw))
			continue
		}
		fmt.Fprintf(w, "%s\n", failureLine(r))
	}
}
