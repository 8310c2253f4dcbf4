package upload

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// result is what became of one file.
type result struct {
	name   string
	size   int64
	answer *Answer // nil: there is none
	err    error
	took   time.Duration
}

// The exit codes; of several files the highest counts. Two is a command line that cannot be understood.
const (
	codeTaken       = 0 // everything is stored
	codeFailed      = 1 // a file could not be read
	codeRejected    = 3 // stored, but for rows or cells that were rejected
	codeRefused     = 4 // the server refused a file, and would again
	codeUndelivered = 5 // the server could not be reached, or could not take a file; it can be sent later
)

func (r *result) code() int {
	if _, undelivered := errors.AsType[*UndeliveredError](r.err); undelivered {
		return codeUndelivered
	}
	switch {
	case r.err != nil:
		return codeFailed
	case !r.answer.Success:
		return codeRefused
	case r.answer.Rejected > 0:
		return codeRejected
	}
	return codeTaken
}

// status is the word of the table.
func (r *result) status() string {
	switch {
	case r.answer != nil && r.err == nil && r.answer.Status != "":
		return r.answer.Status
	case r.code() == codeRefused:
		return "refused"
	case r.code() == codeUndelivered:
		return "undelivered"
	}
	return "failed"
}

// maxShown is how many verdicts of a file the account shows; the answer has more.
const maxShown = 5

// summarize writes the table, and below it what is worth telling about each file.
func summarize(w io.Writer, all []result) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "file\tstatus\tdialect\tsize\taccepted\tduplicate\trejected\tabsent\ttook\t")
	for _, r := range all {
		a := cmp.Or(r.answer, &Answer{})
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t\n", r.name, r.status(), cmp.Or(a.Dialect, "-"),
			humanize.IBytes(uint64(max(0, r.size))), a.Accepted+a.WouldAccept, a.Duplicate, a.Rejected, a.Absent, r.took.Round(time.Millisecond))
	}
	_ = table.Flush() // an error of the terminal has no other place to go
	for _, r := range all {
		r.explain(w)
	}
}

func (r *result) explain(w io.Writer) {
	switch {
	case r.err != nil:
		fmt.Fprintf(w, "%s: %v\n", r.name, r.err)
	case !r.answer.Success:
		fmt.Fprintf(w, "%s: %s\n", r.name, r.answer.Error)
	}
	if r.answer == nil {
		return
	}
	for _, f := range r.answer.Errors[:min(len(r.answer.Errors), maxShown)] {
		fmt.Fprintf(w, "%s: %s\n", r.name, f)
	}
	if more := r.answer.ErrorsTotal - maxShown; more > 0 {
		fmt.Fprintf(w, "%s: %d more like these; -json gives the first 100\n", r.name, more)
	}
	for _, warning := range r.answer.Warnings {
		fmt.Fprintf(w, "%s: warning: %s\n", r.name, warning)
	}
}
