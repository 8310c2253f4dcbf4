package rest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/coding"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

const (
	streamPage = 2000 // entries per page of a streamed answer

	nextCursorHeader = "X-Next-Cursor"
	asOfHeader       = "X-As-Of"
)

// pages reads history page by page, all from one view, or one of each cluster.
type pages struct {
	read      func(ctx context.Context, q history.Query) (page, history.Cursor, error)
	query     history.Query
	remaining int // maximum number of further entries; 0: all
	done      bool
}

// page holds entries or buckets.
type page struct {
	entries  []projections.Entry
	buckets  []history.Bucket
	clusters []string // of each, nil where there is one cluster
}

// clusterOf returns the cluster of an item, otherwise if there is one cluster.
func (p *page) clusterOf(i int, otherwise string) string {
	if p.clusters == nil {
		return otherwise
	}
	return p.clusters[i]
}

// readHistory returns a function that reads pages from a view.
func (a *API) readHistory(s *live.State) func(ctx context.Context, q history.Query) (page, history.Cursor, error) {
	return func(ctx context.Context, q history.Query) (page, history.Cursor, error) {
		if q.Step != 0 {
			got, err := a.past.Buckets(ctx, s, q)
			return page{buckets: got.Buckets}, got.Next, err
		}
		got, err := a.past.Telemetry(ctx, s, q)
		return page{entries: got.Entries}, got.Next, err
	}
}

// readPage returns the next page. done is true after the last one.
func (p *pages) readPage(ctx context.Context) (page, error) {
	q := p.query
	if q.Limit = streamPage; p.remaining > 0 {
		q.Limit = p.remaining
	}
	out, next, err := p.read(ctx, q)
	if err != nil {
		return page{}, err
	}
	p.query.Cursor, p.done = next, next == "" || p.remaining > 0
	return out, nil
}

// encoder writes pages in a form that can be streamed.
type encoder interface {
	beginStream(clusters bool) // whether items are of several clusters
	writePage(p page)
	takeText() []byte // text written since the last call; valid until the next page
}

// encodedPages makes the text of pages.
type encodedPages struct {
	*pages
	encoder encoder
}

func (p encodedPages) isDone() bool { return p.done }

func (p encodedPages) makeText(ctx context.Context) ([]byte, error) {
	page, err := p.readPage(ctx)
	if err != nil {
		return nil, err
	}
	p.encoder.writePage(page)
	return p.encoder.takeText(), nil
}

// textMaker makes the text of a streamed answer, a piece at a time.
type textMaker interface {
	isDone() bool                                 // there is no further piece
	makeText(ctx context.Context) ([]byte, error) // the next piece, valid until the one after it
}

// streamBody is an answer that is made while it is sent, a piece at a time, so that memory does not grow with it. An
// error after the first piece cuts the connection, so that the client notices the missing rest.
type streamBody struct {
	rest    textMaker
	ready   []byte
	conn    net.Conn
	base    context.Context
	timeout time.Duration // for every piece: to make it, and to send it
	lg      *slog.Logger
}

// Read returns the rest of the current piece, or makes the next one.
func (b *streamBody) Read(p []byte) (int, error) {
	for len(b.ready) == 0 {
		if b.rest.isDone() {
			return 0, io.EOF
		}
		if err := b.nextPiece(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

// WriteTo sends the current piece and all later ones, each by one write: reading would cut them into pieces of four
// kilobytes, each sent separately.
func (b *streamBody) WriteTo(w io.Writer) (sent int64, err error) {
	for {
		n, err := w.Write(b.ready)
		if sent += int64(n); err != nil || b.rest.isDone() {
			return sent, err
		}
		if err := b.nextPiece(); err != nil {
			return sent, err
		}
	}
}

// SupportsBodyWriteTo reports to fasthttp that WriteTo is equivalent to reading.
func (b *streamBody) SupportsBodyWriteTo() bool { return true }

// Close does nothing: a body holds nothing open.
func (b *streamBody) Close() error { return nil }

// nextPiece makes the next piece. It logs an error, because the client only sees the connection end.
func (b *streamBody) nextPiece() error {
	err := b.makePiece()
	if err != nil {
		b.lg.WarnContext(b.base, "a streamed answer is cut off", "err", err)
	}
	return err
}

func (b *streamBody) makePiece() (err error) {
	ctx, cancel := context.WithTimeout(b.base, b.timeout)
	defer cancel()
	if b.ready, err = b.rest.makeText(ctx); err != nil {
		return err
	}
	// The server's own deadline is for a whole answer; a stream may take as long as its client reads.
	return b.conn.SetWriteDeadline(time.Now().Add(b.timeout))
}

// streamPages answers with all pages, or with one if there is a limit. It reads the first page before the answer
// begins, so that a failure still has its status.
func (a *API) streamPages(c *fiber.Ctx, s *live.State, q history.Query, f form, limited bool) error {
	p := &pages{read: a.readHistory(s), query: q}
	ctx, cancel := a.historyContext(c)
	defer cancel()
	next, send, err := a.startStream(ctx, p, f, limited)
	if err != nil {
		return a.historyError(ctx, err)
	}
	a.setStreamHeader(c, s, f, next)
	send(c)
	return nil
}

// startStream reads the first page. It returns the cursor behind it, if there is a limit, and the function that sends it and the rest.
func (a *API) startStream(ctx context.Context, p *pages, f form, limited bool) (next history.Cursor, send func(*fiber.Ctx), err error) {
	e := a.newEncoder(p.query, f)
	if limited {
		p.remaining = p.query.Limit
	}
	first, err := p.readPage(ctx)
	if err != nil {
		return "", nil, err
	}
	if limited {
		next = p.query.Cursor
	}
	e.beginStream(first.clusters != nil)
	e.writePage(first)
	return next, func(c *fiber.Ctx) { a.sendStream(c, encodedPages{p, e}, e.takeText()) }, nil
}

// setStreamHeader sets what an answer without an envelope has in its header.
func (a *API) setStreamHeader(c *fiber.Ctx, s *live.State, f form, next history.Cursor) {
	setFormHeader(c, f, next)
	if a.feeds.IsBehind() {
		c.Set(asOfHeader, s.AsOf().UTC().Format(time.RFC3339Nano))
	}
}

// setFormHeader sets the form of an answer and the cursor behind it.
func setFormHeader(c *fiber.Ctx, f form, next history.Cursor) {
	c.Set(fiber.HeaderContentType, string(f)+"; charset=utf-8")
	if f == asCSV {
		c.Set(fiber.HeaderContentType, string(f)+"; charset=utf-8; header=present")
		c.Set(fiber.HeaderContentDisposition, `attachment; filename="telemetry.csv"`)
	}
	if next != "" {
		c.Set(nextCursorHeader, string(next))
	}
}

// sendStream sends text and then the rest that is made. The header of the answer must be complete.
func (a *API) sendStream(c *fiber.Ctx, rest textMaker, text []byte) {
	out := &streamBody{rest: rest, ready: text, conn: c.Context().Conn(), base: c.UserContext(), timeout: a.cfg.Timeout, lg: a.lg}
	coding.SetStream(c, out, -1)
}

func (a *API) newEncoder(q history.Query, f form) encoder {
	if f == asCSV {
		return &csvEncoder{query: q, table: csvTable{start: true}, shown: q.ShownAggregates()}
	}
	w := &writer{cluster: a.cluster}
	return &linesEncoder{api: a, writer: w, buckets: bucketWriter{writer: w, names: a.names, shown: q.ShownAggregates()}}
}

// csvEncoder writes a row for each reading, or for each metric of a bucket.
type csvEncoder struct {
	query   history.Query
	table   csvTable
	columns []history.Aggregate
	shown   func(metric string) []history.Aggregate
}

func (e *csvEncoder) beginStream(clusters bool) {
	header := readingsHeader
	if e.query.Step != 0 {
		header, e.columns = bucketsHeader(e.query)
	}
	if clusters {
		e.table.cluster = "cluster" // above the names
	}
	e.table.writeRow(header...)
}

func (e *csvEncoder) writePage(p page) {
	for i := range p.entries {
		e.table.cluster = p.clusterOf(i, "")
		e.table.writeEntry(&p.entries[i])
	}
	for i := range p.buckets {
		e.table.cluster = p.clusterOf(i, "")
		e.table.writeBucket(&p.buckets[i], e.columns, e.shown)
	}
}

func (e *csvEncoder) takeText() []byte {
	out := e.table.buf
	e.table.buf = e.table.buf[:0]
	return out
}

// linesEncoder writes one entry per line, in the form of the items of data.
type linesEncoder struct {
	api     *API
	writer  *writer
	buckets bucketWriter
}

func (e *linesEncoder) beginStream(bool) {}

func (e *linesEncoder) writePage(p page) {
	for i := range p.entries {
		e.writer.cluster = p.clusterOf(i, e.api.cluster)
		e.writer.writeEntry(e.api.names, &p.entries[i])
		e.writer.Buf = append(e.writer.Buf, '\n')
	}
	for i := range p.buckets {
		e.writer.cluster = p.clusterOf(i, e.api.cluster)
		e.buckets.writeBucket(&p.buckets[i])
		e.writer.Buf = append(e.writer.Buf, '\n')
	}
}

func (e *linesEncoder) takeText() []byte {
	out := e.writer.Buf
	e.writer.Buf = e.writer.Buf[:0]
	return out
}
