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

// result is the outcome of one file.
type result struct {
	name   string
	size   int64
	answer *Answer // nil: none was received
	err    error
	took   time.Duration
}

// The exit codes; the highest one of all files is used. Code 2 means a wrong command line.
const (
	codeStored      = 0 // everything is stored
	codeFailed      = 1 // a local error: the file could not be read
	codeRejected    = 3 // stored, except for rejected rows or cells, or not foldable as a whole
	codeRefused     = 4 // the server refused a file, and would refuse it again
	codeUndelivered = 5 // the server could not be reached or could not accept a file; it can be sent later
)

func (r *result) exitCode() int {
	if _, undelivered := errors.AsType[*UndeliveredError](r.err); undelivered {
		return codeUndelivered
	}
	switch {
	case r.err != nil:
		return codeFailed
	case !r.answer.Success:
		return codeRefused
	case r.answer.Rejected > 0, r.answer.Status == statusQuarantined:
		return codeRejected
	}
	return codeStored
}

// statusWord returns the status column of the table.
func (r *result) statusWord() string {
	switch {
	case r.answer != nil && r.err == nil && r.answer.Status != "":
		return r.answer.Status
	case r.exitCode() == codeRefused:
		return "refused"
	case r.exitCode() == codeUndelivered:
		return "undelivered"
	}
	return "failed"
}

// maxShown is the most faults printed for a file; the answer has more.
const maxShown = 5

// printSummary writes the table, and below it the errors, faults and warnings of each file.
func printSummary(w io.Writer, all []result) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "file\tstatus\tdialect\tsize\taccepted\tduplicate\trejected\tabsent\ttook\t")
	for _, r := range all {
		a := cmp.Or(r.answer, &Answer{})
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t\n", r.name, r.statusWord(), cmp.Or(a.Dialect, "-"),
			humanize.IBytes(uint64(max(0, r.size))), a.Accepted+a.WouldAccept, a.Duplicate, a.Rejected, a.Absent, r.took.Round(time.Millisecond))
	}
	_ = table.Flush() // an error of the terminal cannot be reported anywhere else
	for _, r := range all {
		r.printDetails(w)
	}
}

func (r *result) printDetails(w io.Writer) {
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
		fmt.Fprintf(w, "%s: %d more like these; -json prints the first 100\n", r.name, more)
	}
	for _, warning := range r.answer.Warnings {
		fmt.Fprintf(w, "%s: warning: %s\n", r.name, warning)
	}
}
