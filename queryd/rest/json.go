package rest

import (
	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/coding"
)

// writer appends an answer's JSON text. It replaces encoding/json because a fleet's readings are megabytes, and
// because numbers pass through it as the decimals they are.
type writer struct {
	events.JSONWriter
	cluster string      // of the next items, "" unless there are several
	pool    *writerPool // pool to which the writer returns when its text is sent; nil: none

	lastOrigin origin // of the last entry, and its text
	originText []byte

	layout  layout
	unusual []projections.Latest // readings of an entry without a layout
}

// origin is the source of an entry.
type origin struct {
	host     events.HostID
	entity   events.Entity
	identity *events.Identity
}

// openItem begins an item of an answer, with its cluster if there are several.
func (w *writer) openItem() {
	w.Open('{')
	w.Text("cluster", w.cluster)
}

// sendBody makes the text the body of an answer; the writer must not be used afterwards.
func (w *writer) sendBody(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/json; charset=utf-8")
	if w.pool == nil {
		c.Response().SetBodyRaw(w.Buf)
		return nil
	}
	out := &pooledBody{writer: w}
	out.Reset(w.Buf)
	coding.SetStream(c, out, len(w.Buf))
	return nil
}
