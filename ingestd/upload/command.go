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

// Command uploads the files that a command line names.
type Command struct {
	Config
	JSON  bool // the server's answers, one a line, in place of the table
	Quiet bool // no progress
}

// Flags registers the settings of the command.
func (c *Command) Flags(fs *flag.FlagSet) {
	c.Config.Flags(fs)
	c.Config.fileFlags(fs)
	fs.BoolVar(&c.JSON, "json", false, "write the server's answers, one a line, in place of the table")
	fs.BoolVar(&c.Quiet, "quiet", false, "show no progress")
}

// Run uploads the files that args name ("-" is in) and writes the account to out and progress to errs. The
// code is the exit code; an error says that the command line is wrong, and nothing was sent.
func (c *Command) Run(ctx context.Context, in io.Reader, out, errs io.Writer, args []string) (code int, err error) {
	if len(args) == 0 {
		return 0, errors.New("name the files to upload, or - for the standard input")
	}
	client, err := New(c.Config)
	if err != nil {
		return 0, err
	}
	files, done, err := sources(ctx, args, in)
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
		summarize(out, results)
	}
	for _, r := range results {
		code = max(code, r.code())
	}
	return code, nil
}

// sendAll sends the files, some at a time, and gives the results in their order.
func (c *Command) sendAll(ctx context.Context, client *Client, files []Source, errs io.Writer) []result {
	var total int64
	for _, f := range files {
		total += f.Size
	}
	shown := newProgress(errs, total, c.Quiet)
	defer shown.end()
	results := make([]result, len(files))
	free := make(chan struct{}, client.cfg.Parallel)
	var sending sync.WaitGroup
	for i, f := range files {
		free <- struct{}{}
		sending.Go(func() {
			defer func() { <-free }()
			results[i] = send(ctx, client, f, shown)
		})
	}
	sending.Wait()
	return results
}

// send sends one file and tells how it goes.
func send(ctx context.Context, client *Client, f Source, shown *progress) result {
	began := time.Now()
	var mu sync.Mutex // the transport counts in a goroutine of its own
	var counted int64
	count := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		counted += n
		shown.sent(n)
	}
	answer, err := client.Send(ctx, f, count, func(a Attempt) {
		mu.Lock()
		defer mu.Unlock()
		shown.sent(-counted)
		counted = 0
		shown.say("%s: %v; again in %s", f.Name, a.Err, a.Again.Round(100*time.Millisecond))
	})
	r := result{name: f.Name, size: f.Size, answer: answer, err: err, took: time.Since(began)}
	if answer == nil {
		shown.say("%s: %s", f.Name, r.status())
	} else {
		shown.say("%s: %s sent, %s", f.Name, humanize.IBytes(uint64(max(0, f.Size))), r.status())
	}
	return r
}

// printAnswers writes the server's answers as they came; a file without one gets an object with its error.
func printAnswers(w io.Writer, all []result) {
	for _, r := range all {
		if r.answer != nil && len(r.answer.Raw) > 0 {
			fmt.Fprintf(w, "%s\n", compact(r.answer.Raw))
			continue
		}
		fmt.Fprintf(w, "%s\n", failure(r))
	}
}
