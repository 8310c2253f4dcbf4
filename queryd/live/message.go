package live

import (
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Kind is the type of a Message.
type Kind string

const (
	Snapshot  Kind = "snap"   // state at Token; More follow while More is set, and only the last has the Token
	Synced    Kind = "synced" // the initial state (or the missed changes) is complete
	Update    Kind = "upd"    // changes since the last Snapshot or Update
	Heartbeat Kind = "hb"     // nothing older than Token will come
	Lag       Kind = "lag"    // EventsMode: the queue is half full
	Reset     Kind = "reset"  // the requested position is gone (Reason); forget everything, a Snapshot follows
)

// Message is one step of a subscription. It is shared between subscribers and must not be changed.
type Message struct {
	Kind    Kind
	Token   Token
	At      events.Revision
	Folded  events.Revision
	AsOf    time.Time // Heartbeat: when etcd last confirmed the view
	Time    time.Time // the server's, for Heartbeat
	Items   []Item    // Snapshot and Update; sorted by (Host, GPU, Part)
	Removed []events.GPUID
	Part    int
	More    bool
	Reason  string // Reset: "compacted", "slow", "epoch", "generation"
	Resumed bool   // Synced: the stream went on from Options.From
	Queued  int    // Lag: changes waiting

	traces      []events.TraceContext // Update: see TakeTraces
	tracesTaken atomic.Bool

	encoded encodings
}

// Item is a GPU's changed readings (all of them in a Snapshot). Values are absolute, so applying one again does no
// harm. A message's Removed is applied before its Items: a GPU in both is new, with all of its readings.
type Item struct {
	GPU      events.GPUID
	Part     string
	Host     events.HostID
	At       events.Timestamp // newest record time of the readings
	Readings []projections.Latest
}

// Encoded returns the message encoded by enc in the format named key. The encoding is made once for all subscribers
// that share the message. enc must not keep the message; the bytes are shared and must not be changed.
func (m *Message) Encoded(key string, enc func(*Message) []byte) []byte {
	return m.encoded.getOrEncode(key, func() []byte { return enc(m) })
}

// encodings memoises a message's encodings.
type encodings struct {
	mu    sync.Mutex
	forms map[string]func() []byte // by key; each encodes once
}

// getOrEncode returns the encoding for key. It encodes outside the lock.
func (e *encodings) getOrEncode(key string, enc func() []byte) []byte {
	e.mu.Lock()
	form, ok := e.forms[key]
	if !ok {
		if e.forms == nil {
			e.forms = make(map[string]func() []byte, 1)
		}
		form = sync.OnceValue(enc)
		e.forms[key] = form
	}
	e.mu.Unlock()
	return form()
}
