package smidmon

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// worker parses the rows of one file.
type worker struct {
	host       events.HostID
	processes  bool
	header     *header // nil below a header that cannot be read
	timing     *timing
	identities map[identityKey]*events.Identity
	cells      [][]byte
}

func newWorker(opt dialect.Options, h *header) *worker {
	return &worker{
		host: events.HostID(opt.Host), processes: h.pid >= 0, header: h, timing: newTiming(opt),
		identities: map[identityKey]*events.Identity{},
	}
}

// Parse appends the results of a line to out.
func (w *worker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed = w.host, false
	if row.Fault != nil {
		out.Rejections = append(out.Rejections, *row.Fault)
		return
	}
	line := row.Cells[0]
	switch {
	case bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("#")):
		w.readComment(row.Line, line, out)
	case w.header == nil:
		out.Reject(row.Line, "", line, "the header above it cannot be read")
	default:
		w.parseRow(row.Line, line, out)
	}
}

// readComment takes a header for the rows below it; units and other comments are skipped.
func (w *worker) readComment(number int, line []byte, out *dialect.Parsed) {
	h, err := readHeader(line)
	if h != nil && (h.pid >= 0) != w.processes {
		err = errors.New("rows of GPUs and of processes are in one file; send them apart")
	}
	switch {
	case err != nil:
		w.header = nil
		out.Reject(number, "", line, err.Error())
		return
	case h != nil:
		w.header = h
	}
	out.Skipped++
}

// parseRow parses a line of cells.
func (w *worker) parseRow(number int, line []byte, out *dialect.Parsed) {
	h := w.header
	w.cells = h.splitRow(line, w.cells[:0])
	gpu, why := w.readGPU()
	if why != "" {
		out.Reject(number, "", line, why)
		return
	}
	pid := w.readPID()
	instant, column, err := w.readTime(gpu, pid)
	switch {
	case len(w.cells) != len(h.columns):
		out.Reject(number, "", line, fmt.Sprintf("the line has %d cells, the header names %d columns: is the line cut off?", len(w.cells), len(h.columns)))
		return
	case err != nil:
		out.Reject(number, column, w.timeText(), err.Error())
		return
	case h.pid >= 0 && pid == nil: // an idle GPU
		out.Skipped++
		return
	}
	out.ZoneAssumed = instant.ZoneAssumed
	if instant.Twice {
		out.Warn(number, column, w.timeText(), dialect.AmbiguousTime)
	}
	identity := w.identityOf(number, gpu, pid, out)
	if identity == nil {
		return
	}
	w.addReadings(number, identity, instant.At, out)
}

// readGPU returns the index of the row's GPU, or the reason why it has none.
func (w *worker) readGPU() (int, string) {
	if len(w.cells) <= w.header.gpu {
		return 0, "the line has fewer cells than the header names columns: is it a row, or a message of nvidia-smi?"
	}
	n, err := strconv.ParseUint(string(w.cells[w.header.gpu]), 10, 16)
	if err != nil {
		return 0, fmt.Sprintf("the GPU %.20q is no index such as 0: is it a row, or a message of nvidia-smi?", w.cells[w.header.gpu])
	}
	return int(n), ""
}

// readPID returns the row's process, or nil if it names none.
func (w *worker) readPID() []byte {
	if w.header.pid < 0 || w.header.pid >= len(w.cells) || metric.Token(w.cells[w.header.pid]) != events.Present {
		return nil
	}
	return w.cells[w.header.pid]
}

// readTime returns the row's time, and the name of the column that holds it.
func (w *worker) readTime(gpu int, pid []byte) (dialect.Instant, string, error) {
	h := w.header
	switch {
	case len(w.cells) <= max(h.date, h.clock):
		return dialect.Instant{}, "", nil // the row is refused anyway
	case h.hasDate():
		instant, err := w.timing.datedTime(w.cells[h.date], w.cells[h.clock])
		return instant, h.columns[h.date].name, err
	case h.clock >= 0:
		instant, err := w.timing.nearestTime(w.cells[h.clock])
		return instant, h.columns[h.clock].name, err
	}
	instant, err := w.timing.countedTime(gpu, pid)
	return instant, "", err
}

// timeText returns the row's time as text.
func (w *worker) timeText() []byte {
	h := w.header
	switch {
	case h.hasDate():
		return bytes.Join([][]byte{w.cells[h.date], w.cells[h.clock]}, []byte(" "))
	case h.clock >= 0:
		return w.cells[h.clock]
	}
	return nil
}

// addReadings adds a record or a rejection for each reading.
func (w *worker) addReadings(number int, identity *events.Identity, at events.Timestamp, out *dialect.Parsed) {
	for i := range w.header.columns {
		c := &w.header.columns[i]
		if c.metric == nil {
			continue
		}
		text := w.cells[i]
		value, err := c.metric.Read(c.conversion, text)
		if err != nil {
			out.Reject(number, c.name, text, err.Error())
			continue
		}
		out.Add(events.Record{Identity: identity, Metric: c.metric.Name, Source: c.name, At: at, Value: value, Text: text})
	}
}
