package rest

import (
	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// writer appends an answer's JSON text. It is used instead of encoding/json because a fleet's readings are
// megabytes, and because numbers pass through it as the decimals they are.
type writer struct {
	events.JSONWriter
	home *writers // where it goes when its text is sent; nil: nowhere

	lastOrigin origin // of the last entry, and its text
	originText []byte

	layout  layout
	unusual []projections.Latest // readings of an entry without a layout
}

// origin is where an entry is from.
type origin struct {
	host     events.HostID
	entity   events.Entity
	identity *events.Identity
}

// send makes the text the body of an answer; the writer must not be used after.
func (w *writer) send(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/json; charset=utf-8")
	if w.home == nil {
		c.Response().SetBodyRaw(w.Buf)
		return nil
	}
	out := &sending{writer: w}
	out.Reset(w.Buf)
	c.Context().SetBodyStream(out, len(w.Buf))
	return nil
}
