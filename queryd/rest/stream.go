package rest

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

const (
	streamPage = 2000 // entries that are read at a time while an answer is streamed

	nextCursorHeader = "X-Next-Cursor"
	asOfHeader       = "X-As-Of"
)

// pages reads history page by page, all from one view.
type pages struct {
	api   *API
	state *live.State
	query history.Query
	rest  int // entries that may come still; 0: all
	done  bool
}

// page is entries, or buckets.
type page struct {
	entries []projections.Entry
	buckets []history.Bucket
}

// read gives the next page. done tells that it was the last one.
func (p *pages) read(ctx context.Context) (page, error) {
	q := p.query
	if q.Limit = streamPage; p.rest > 0 {
		q.Limit = p.rest
	}
	var out page
	var next history.Cursor
	if q.Step != 0 {
		got, err := p.api.past.Buckets(ctx, p.state, q)
		if err != nil {
			return page{}, err
		}
		out.buckets, next = got.Buckets, got.Next
	} else {
		got, err := p.api.past.Telemetry(ctx, p.state, q)
		if err != nil {
			return page{}, err
		}
		out.entries, next = got.Entries, got.Next
	}
	p.query.Cursor, p.done = next, next == "" || p.rest > 0
	return out, nil
}

// encoder writes pages in a form that can be streamed.
type encoder interface {
	begin()
	page(p page)
	take() []byte // what was written since; holds until the next page
}

// body is an answer that is made while it is sent: a page at a time, so that memory does not grow with it. An
// error after the first page cuts the connection, and the client can tell that it has not all.
type body struct {
	pages   *pages
	encoder encoder
	ready   []byte
	conn    net.Conn
	base    context.Context
	timeout time.Duration // for every page: to be read, and to be sent
}

// Read gives what is ready, or makes the next page.
func (b *body) Read(p []byte) (int, error) {
	for len(b.ready) == 0 {
		if b.pages.done {
			return 0, io.EOF
		}
		if err := b.make(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

// WriteTo sends what is ready, and every page as it is made, in one piece each: reading would cut them into pieces of
// four kilobytes, each sent by itself.
func (b *body) WriteTo(w io.Writer) (sent int64, err error) {
	for {
		n, err := w.Write(b.ready)
		if sent += int64(n); err != nil || b.pages.done {
			return sent, err
		}
		if err := b.make(); err != nil {
			return sent, err
		}
	}
}

// SupportsBodyWriteTo tells fasthttp that WriteTo does what reading does.
func (b *body) SupportsBodyWriteTo() bool { return true }

// make makes the next page; an error is told, as the client only sees the connection end.
func (b *body) make() error {
	err := b.next()
	if err != nil {
		b.pages.api.lg.Warn("a streamed answer is cut off", "err", err)
	}
	return err
}

func (b *body) next() error {
	ctx, cancel := context.WithTimeout(b.base, b.timeout)
	defer cancel()
	page, err := b.pages.read(ctx)
	if err != nil {
		return err
	}
	b.encoder.page(page)
	b.ready = b.encoder.take()
	// The server's own deadline is for a whole answer; a stream may take as long as its client goes on reading.
	return b.conn.SetWriteDeadline(time.Now().Add(b.timeout))
}

// stream answers with all pages, or one when there is a limit. The first one is read before the answer begins,
// so that what cannot be answered has its status.
func (a *API) stream(c *fiber.Ctx, s *live.State, q history.Query, f form, limited bool) error {
	p := &pages{api: a, state: s, query: q}
	if limited {
		p.rest = q.Limit
	}
	ctx, cancel := a.patience(c)
	defer cancel()
	first, err := p.read(ctx)
	if err != nil {
		return a.explain(ctx, err)
	}
	e := a.encoder(q, f)
	e.begin()
	e.page(first)
	c.Set(fiber.HeaderContentType, string(f)+"; charset=utf-8")
	if f == asCSV {
		c.Set(fiber.HeaderContentType, string(f)+"; charset=utf-8; header=present")
		c.Set(fiber.HeaderContentDisposition, `attachment; filename="telemetry.csv"`)
	}
	if limited && p.query.Cursor != "" {
		c.Set(nextCursorHeader, string(p.query.Cursor))
	}
	if a.view.Degraded() != nil {
		c.Set(asOfHeader, s.AsOf().UTC().Format(time.RFC3339Nano))
	}
	out := &body{pages: p, encoder: e, ready: e.take(), conn: c.Context().Conn(), base: c.UserContext(), timeout: a.cfg.Timeout}
	c.Context().SetBodyStream(out, -1)
	return nil
}

func (a *API) encoder(q history.Query, f form) encoder {
	if f == asCSV {
		return &csvEncoder{query: q, table: table{start: true}, shown: q.Shown()}
	}
	w := new(writer)
	return &linesEncoder{api: a, writer: w, buckets: bucketWriter{writer: w, names: a.names, shown: q.Shown()}}
}

// csvEncoder writes a row for each reading, or for each metric of a bucket.
type csvEncoder struct {
	query   history.Query
	table   table
	columns []history.Aggregate
	shown   func(metric string) []history.Aggregate
}

func (e *csvEncoder) begin() {
	header := readingsHeader
	if e.query.Step != 0 {
		header, e.columns = bucketsHeader(e.query)
	}
	e.table.row(header...)
}

func (e *csvEncoder) page(p page) {
	for i := range p.entries {
		e.table.entry(&p.entries[i])
	}
	for i := range p.buckets {
		e.table.bucket(&p.buckets[i], e.columns, e.shown)
	}
}

func (e *csvEncoder) take() []byte {
	out := e.table.buf
	e.table.buf = e.table.buf[:0]
	return out
}

// linesEncoder writes an entry a line, as it is in data.
type linesEncoder struct {
	api     *API
	writer  *writer
	buckets bucketWriter
}

func (e *linesEncoder) begin() {}

func (e *linesEncoder) page(p page) {
	for i := range p.entries {
		e.writer.entry(e.api.names, &p.entries[i])
		e.writer.Buf = append(e.writer.Buf, '\n')
	}
	for i := range p.buckets {
		e.buckets.bucket(&p.buckets[i])
		e.writer.Buf = append(e.writer.Buf, '\n')
	}
}

func (e *linesEncoder) take() []byte {
	out := e.writer.Buf
	e.writer.Buf = e.writer.Buf[:0]
	return out
}
