// Package live keeps one in-memory view of the active generation and fans its changes out.
//
// In: one watch of the stored projections. Out: an immutable State at a known position, and many bounded
// subscribers. It never waits for a subscriber and knows no transport.
package live

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// source is what the hub needs of the stored projections (projections/snapshot.Store).
type source interface {
	Load(ctx context.Context, g projections.Generation) (projections.Batch, error)
	Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error]
	WatchActive(ctx context.Context) iter.Seq2[projections.Generation, error]
}

// Hub owns the watch, the current State and the subscribers.
type Hub struct{}

// New makes a hub; Run starts it. facts are the log's.
func New(cfg Config, src source, facts events.Facts, lg *slog.Logger) (*Hub, error) {
	panic("contract")
}

// Run keeps the view current until ctx ends; then every subscription ends with ErrClosed.
func (h *Hub) Run(ctx context.Context) error { panic("contract") }

// Ready is nil once the view is current.
func (h *Hub) Ready() error { panic("contract") }

// State gives the current view; never nil, empty before the first load. It is immutable and may be kept.
func (h *Hub) State() *State { panic("contract") }

// Wait blocks until everything up to rev is folded (live and series) and in the view, and gives that State. A rev of another log is
// events.ErrForeign; the end of ctx its cause.
func (h *Hub) Wait(ctx context.Context, rev events.Revision) (*State, error) { panic("contract") }

// Subscribe starts a subscription; the caller closes it. An error tells which option is bad.
func (h *Hub) Subscribe(o Options) (*Subscription, error) { panic("contract") }

// State is the whole view at one position. Slices and pointers it gives are shared and must not be changed.
type State struct{}

// At is the position in the projections; Generation what is served; AsOf when etcd last confirmed it.
func (s *State) At() events.Revision                { panic("contract") }
func (s *State) Generation() projections.Generation { panic("contract") }
func (s *State) AsOf() time.Time                    { panic("contract") }

// Folded is the log position up to which every partition is folded into the stored models.
func (s *State) Folded() events.Revision { panic("contract") }

// GPUs are all GPUs sorted by (host, index as a number, id); Hosts all hosts sorted by name.
func (s *State) GPUs() []*projections.GPU { panic("contract") }
func (s *State) Hosts() []*Host           { panic("contract") }

// GPU finds one by UUID (or other id), or as "host:index": the GPU that has that index there now.
func (s *State) GPU(id events.GPUID) (*projections.GPU, bool) { panic("contract") }

// Host finds one by name.
func (s *State) Host(id events.HostID) (*Host, bool) { panic("contract") }

// Host is a host of the view.
type Host struct {
	projections.Host
	Partition events.Partition
	GPUs      []*projections.GPU // those whose newest record is from here, sorted by (index as a number, id)
	LastSeen  events.Timestamp
	FirstSeen events.Timestamp
}

// Mode says what a subscriber gets when it is slower than the changes.
type Mode string

const (
	// LatestMode gives the newest values of what changed, at most Hz times a second; a slow reader gets fewer but newer ones.
	LatestMode Mode = "latest"
	// EventsMode gives every committed change of live, through a bounded queue; a reader that lets it fill is told and then closed.
	EventsMode Mode = "events"
)

// Filter selects what a subscription is about. An empty field takes everything. Hosts are globs ('*', '?').
type Filter struct {
	Hosts   []string
	GPUs    []events.GPUID
	Metrics []string
}

// Options of a subscription.
type Options struct {
	Filter   Filter
	Mode     Mode    // default LatestMode
	Hz       float64 // LatestMode: frames per second at most; default 4, at most 20
	Snapshot bool    // give the matching state first
	From     Token   // resume after this position; "" starts anew
}

// Token is an opaque position in the stream: generation and position in the projections. A token of another epoch, generation or a position
// that is gone gives a Reset and a snapshot, never an error.
type Token string

// Kind says what a Message is.
type Kind string

const (
	Snapshot  Kind = "snap"   // state at Token; More follow while More is set
	Synced    Kind = "synced" // the initial state (or what was missed) is complete
	Update    Kind = "upd"    // changes since the last Snapshot or Update
	Heartbeat Kind = "hb"     // nothing older than Token will come
	Lag       Kind = "lag"    // EventsMode: the queue is half full
	Reset     Kind = "reset"  // the position asked for is gone (Reason); a Snapshot follows
)

// Message is one step of a subscription.
type Message struct {
	Kind    Kind
	Token   Token
	At      events.Revision
	Folded  events.Revision
	Time    time.Time // the server's, for Heartbeat
	Items   []Item    // Snapshot and Update; sorted by (Host, GPU)
	Removed []events.GPUID
	Part    int
	More    bool
	Reason  string // Reset: "compacted", "slow", "epoch", "generation"
	Resumed bool   // Synced: the stream went on from Options.From
	Queued  int    // Lag
}

// Item is a GPU's changed readings (all of them in a Snapshot). Values are absolute, so applying one again does no harm.
type Item struct {
	GPU      events.GPUID
	Part     string
	Host     events.HostID
	At       events.Timestamp // newest record time of the readings
	Readings []projections.Latest
}

// Subscription is one reader's stream. Not safe for concurrent use but for Close.
type Subscription struct{}

// Next gives the next message, waiting for it. After ErrSlow, ErrClosed or ctx's end there is no more.
func (s *Subscription) Next(ctx context.Context) (*Message, error) { panic("contract") }

// Close ends the subscription; Next returns ErrClosed.
func (s *Subscription) Close() { panic("contract") }
