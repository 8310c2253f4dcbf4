package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/live"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// storedSeries is the reader of a store in etcd, with the errors that history knows, as in query.
type storedSeries struct{ *snapshot.Store }

func (s storedSeries) List(ctx context.Context, g projections.Generation, q projections.ChunkQuery) (projections.ChunkList, error) {
	all, err := s.ListChunks(ctx, g, q)
	return all, knownError(err)
}

func (s storedSeries) Read(ctx context.Context, windows []projections.WindowChunks, keep func(events.Entity, string) bool) ([]projections.WindowSeries, error) {
	all, err := s.ReadChunks(ctx, windows, keep)
	return all, knownError(err)
}

func knownError(err error) error {
	switch {
	case errors.Is(err, projections.ErrRemoved):
		return errors.Join(ErrReplaced, err)
	case errors.Is(err, snapshot.ErrChunkGone):
		return errors.Join(ErrMoved, err)
	}
	return err
}

// listedArchive is an archive with its manifest in etcd, as in query.
type listedArchive struct {
	*archive.Store
	manifest *manifest.Current
}

func (a listedArchive) Entries(ctx context.Context, of []events.Partition, from, to events.Timestamp, afresh bool) (map[events.Partition][]archive.Entry, error) {
	listed, err := a.manifest.Load(ctx, of, afresh)
	if err != nil {
		return nil, err
	}
	if to < maxTime {
		to++
	}
	all := make(map[events.Partition][]archive.Entry, len(listed))
	for p, one := range listed {
		all[p] = one.Overlapping(from, to)
	}
	return all, nil
}

// worldPartitions is small, so that hosts share partitions.
const worldPartitions = 3

// world is a log, its projections in etcd, an archive, and a reader of them. Its steps change where records are; the records that
// are folded are also in facts.
type world struct {
	t      testing.TB
	cfg    eventlog.Config
	client *clientv3.Client
	log    *eventlog.Log
	store  *snapshot.Store // of the collectors
	url    string
	shelf  *archive.Store // of the collectors
	listed *manifest.Manifest

	facts    facts
	pending  [worldPartitions][]reading // appended, and not folded yet
	rows     []reportRow                // everything that was ever sent
	folded   []events.Event             // into the active generation
	hour     int                        // of the newest records
	lateName bool                       // records of one GPU of each host name its model from modelled on only
	modelled bool

	active   *foldedGeneration
	building *foldedGeneration // nil: none
	retired  []projections.Generation

	history *History
	hub     *live.Hub
	stopHub func()
	view    *live.State

	notes []string // the steps
	seen  map[string]int
}

// foldedGeneration is the state that the collectors of a generation have in memory.
type foldedGeneration struct {
	name    projections.Generation
	hosts   map[events.HostID]*projections.Host
	folded  [worldPartitions]events.Revision
	hotFrom [worldPartitions]projections.Window
	skip    [worldPartitions]events.Revision // of events up to here, windows before hotFrom are left to the archive
}

func newFoldedGeneration(name projections.Generation) *foldedGeneration {
	return &foldedGeneration{name: name, hosts: make(map[events.HostID]*projections.Host)}
}

func newWorld(t testing.TB, r *rand.Rand) *world {
	t.Helper()
	cfg, client := eventstest.Config(t), eventstest.Etcd(t)
	cfg.Partitions = worldPartitions
	w := &world{
		t: t, cfg: cfg, client: client, log: eventstest.OpenLog(t, cfg), url: (&url.URL{Scheme: "file", Path: t.TempDir()}).String(),
		lateName: r.IntN(3) == 0, seen: make(map[string]int),
	}
	w.facts.init()
	w.store = snapshot.New(client, cfg, w.log.Facts(), nil)
	name, err := w.store.Active(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.active = newFoldedGeneration(name)
	w.shelf = w.openArchive()
	w.listed = manifest.New(client, cfg, w.log.Facts())
	w.restartReader()
	return w
}

func (w *world) openArchive() *archive.Store {
	w.t.Helper()
	s, err := archive.Open(w.t.Context(), w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

// restartReader replaces the query server by one with empty caches.
func (w *world) restartReader() {
	w.t.Helper()
	w.close()
	store, shelf := snapshot.New(w.client, w.cfg, w.log.Facts(), nil), w.openArchive()
	store.KeepChunksUpTo(8 << 20)
	shelf.KeepUpTo(24 << 20)
	w.history = New(storedSeries{store}, nil)
	w.history.ReadArchive(listedArchive{shelf, manifest.NewCurrent(manifest.New(w.client, w.cfg, w.log.Facts()))})
	hub, err := live.New(live.Config{}, store, nil, w.log.Facts(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = hub.Run(ctx) }()
	w.hub, w.stopHub, w.view = hub, func() { cancel(); <-done }, nil
}

func (w *world) close() {
	if w.stopHub != nil {
		w.stopHub()
	}
}

// refreshView waits until the view has everything that is folded, of the active generation.
func (w *world) refreshView(ctx context.Context) error {
	upto := make(map[events.Partition]events.Revision)
	for p, rev := range w.active.folded {
		if rev.Number > 0 {
			upto[events.Partition(p)] = rev
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for w.hub.State().Generation() != w.active.name {
		if ctx.Err() != nil {
			return errors.New("the view has not gone over to the active generation")
		}
		time.Sleep(time.Millisecond)
	}
	if err := w.hub.WaitEach(ctx, upto); err != nil {
		return err
	}
	return w.look(w.facts.scope)
}

// look changes the view to a scope's part of the fleet.
func (w *world) look(scope access.Scope) error {
	w.facts.scope = scope
	feed, err := w.hub.In(scope)
	if err != nil {
		return err
	}
	w.view = feed.State()
	return nil
}

// step is a change of the world, which records its name and what it did.
type step struct {
	name string
	do   func(ctx context.Context, r *rand.Rand) (note string, err error)
}

// dataSteps change which records are folded.
func (w *world) dataSteps() []step {
	return []step{
		{"append", w.appendRows}, {"append", w.appendRows}, {"append late", w.appendLate}, {"append again", w.appendAgain},
		{"fold", w.foldAll}, {"fold", w.foldAll}, {"fold a partition", w.foldOne},
	}
}

// quietSteps change where records are, and no answer. Each may run beside a query.
func (w *world) quietSteps() []step {
	return []step{
		{"archive", inPartitions(w.archiveEvents)}, {"archive", inPartitions(w.archiveEvents)},
		{"drop chunks", inPartitions(w.dropChunks)}, {"drop chunks", inPartitions(w.dropChunks)},
		{"merge entries", inPartitions(w.mergeEntries)}, {"merge entries", inPartitions(w.mergeEntries)}, {"remove merged objects", w.removeReplaced},
		{"leave all to the archive", w.leaveToArchive}, {"leave all to the archive", w.leaveToArchive},
		{"merge chunks", inPartitions(w.mergeChunks)}, {"rebuild", w.rebuild}, {"rebuild", w.rebuild}, {"rebuild", w.rebuild},
	}
}

// aloneSteps change the reader, or take from it what an earlier view needs.
func (w *world) aloneSteps() []step {
	return []step{
		{"restart the reader", func(context.Context, *rand.Rand) (string, error) { w.restartReader(); return "", nil }},
		{"remove a generation", w.removeGeneration},
	}
}

func (w *world) run(s step, r *rand.Rand) error {
	note, err := s.do(w.t.Context(), r)
	w.notes = append(w.notes, s.name+" "+note)
	w.seen[s.name]++
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// foldAll folds the appended events of all partitions into the active generation.
func (w *world) foldAll(ctx context.Context, r *rand.Rand) (string, error) {
	for p := range events.Partition(worldPartitions) {
		if err := w.foldPartition(ctx, p, r); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("(%d events)", len(w.folded)), w.refreshView(ctx)
}

func (w *world) foldOne(ctx context.Context, r *rand.Rand) (string, error) {
	p := events.Partition(r.IntN(worldPartitions))
	if err := w.foldPartition(ctx, p, r); err != nil {
		return "", err
	}
	return fmt.Sprint(p), w.refreshView(ctx)
}

func (w *world) foldPartition(ctx context.Context, p events.Partition, r *rand.Rand) error {
	head, err := w.log.Head(ctx)
	if err != nil {
		return err
	}
	var evs []events.Event
	for ev, err := range w.log.Read(ctx, p, w.active.folded[p], head) {
		if err != nil {
			return err
		}
		evs = append(evs, ev)
	}
	w.folded = append(w.folded, evs...)
	w.facts.add(w.pending[p])
	w.pending[p] = nil
	return w.save(ctx, w.active, p, evs, head, r)
}

// save folds events of a partition into a generation, in commits of random size, and then stores the position upto.
func (w *world) save(ctx context.Context, g *foldedGeneration, p events.Partition, evs []events.Event, upto events.Revision, r *rand.Rand) error {
	for len(evs) > 0 {
		n := min(1+r.IntN(4), len(evs))
		c := snapshot.Commit{Live: make(map[events.HostID]*projections.Live), Identity: make(map[events.HostID]*projections.Identity)}
		for i := range evs[:n] {
			ev := &evs[i]
			host := g.hosts[ev.Host]
			if host == nil {
				host = &projections.Host{ID: ev.Host}
				g.hosts[ev.Host] = host
			}
			effect := host.Apply(ev)
			for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
				for at, series := range part {
					if at >= g.hotFrom[p] || ev.Revision.Number > g.skip[p].Number {
						c.Chunks = append(c.Chunks, snapshot.Chunk{Host: ev.Host, Window: at, Series: series})
					}
				}
			}
			c.Live[ev.Host], c.Identity[ev.Host] = &host.Live, &host.Identity
		}
		if err := w.store.Save(ctx, g.name, p, c); err != nil {
			return err
		}
		evs = evs[n:]
	}
	g.folded[p] = upto
	return w.saveOffsets(ctx, g, p)
}

func (w *world) saveOffsets(ctx context.Context, g *foldedGeneration, p events.Partition) error {
	return w.store.Save(ctx, g.name, p, snapshot.Commit{Offsets: &projections.Offsets{Live: g.folded[p], Series: g.folded[p], HotFrom: g.hotFrom[p]}})
}

// somePartitions returns one of the partitions, or all.
func somePartitions(r *rand.Rand) (some []events.Partition) {
	if r.IntN(2) == 0 {
		return []events.Partition{events.Partition(r.IntN(worldPartitions))}
	}
	for p := range events.Partition(worldPartitions) {
		some = append(some, p)
	}
	return some
}

// inPartitions returns the step that does something in one of the partitions, or in all.
func inPartitions(do func(ctx context.Context, p events.Partition, r *rand.Rand) (string, error)) func(context.Context, *rand.Rand) (string, error) {
	return func(ctx context.Context, r *rand.Rand) (string, error) {
		var notes []string
		for _, p := range somePartitions(r) {
			note, err := do(ctx, p, r)
			if err != nil {
				return "", err
			}
			notes = append(notes, fmt.Sprintf("partition %d: %s", p, note))
		}
		return strings.Join(notes, ", "), nil
	}
}

// archiveEvents archives folded events of a partition, up to some of them.
func (w *world) archiveEvents(ctx context.Context, p events.Partition, r *rand.Rand) (string, error) {
	part, err := w.listed.Load(ctx, p)
	if err != nil || w.active.folded[p].Number <= part.Head.At.Number {
		return "nothing", err
	}
	span := archive.Range{Partition: p, After: part.Head.At, Upto: w.active.folded[p], EnoughEvents: []int{0, 0, 2, 10}[r.IntN(4)]}
	e, err := w.shelf.Write(ctx, span, w.log.Read(ctx, p, span.After, span.Upto))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d events", e.Events), w.listed.Add(ctx, &part, e)
}

// dropChunks removes archived chunks of a partition from etcd, once its offsets say from where on all are there.
func (w *world) dropChunks(ctx context.Context, p events.Partition, r *rand.Rand) (string, error) {
	head, err := w.listed.Head(ctx, p)
	if err != nil || head.At.Number == 0 {
		return "nothing", err
	}
	chunks, err := w.store.Chunks(ctx, w.active.name, p, head.At.Number)
	if err != nil || len(chunks) == 0 {
		return "nothing", err
	}
	from := chunks[r.IntN(len(chunks))].Window + projections.Window(r.IntN(2))
	kept := r.IntN(3) == 0
	if !kept {
		from = chunks[len(chunks)-1].Window + 1 // chunks are sorted by window
	}
	if from > w.active.hotFrom[p] {
		w.active.hotFrom[p] = from
		if err := w.saveOffsets(ctx, w.active, p); err != nil {
			return "", err
		}
	}
	chunks = slices.DeleteFunc(chunks, func(c snapshot.StoredChunk) bool {
		return c.Window >= w.active.hotFrom[p] || kept && r.IntN(3) == 0
	})
	n, err := w.store.RemoveChunks(ctx, chunks, func(context.Context) bool { return true })
	return fmt.Sprint(n), err
}

// mergeEntries merges some entries of a partition's archive, or all of them, in one or more merges.
func (w *world) mergeEntries(ctx context.Context, p events.Partition, r *rand.Rand) (string, error) {
	part, err := w.listed.Load(ctx, p)
	if err != nil || len(part.Entries) == 0 {
		return "nothing", err
	}
	from, all := r.IntN(len(part.Entries)), r.IntN(2) == 0
	if all {
		from = 0
	}
	n := 0
	for ; from < len(part.Entries) && (all || n == 0); from++ {
		to := from + 1 + r.IntN(min(6, len(part.Entries)-from))
		var old []archive.Entry
		for _, e := range part.Entries[from:to] {
			old = append(old, e.Entry)
		}
		e, err := w.shelf.Merge(ctx, old)
		if err != nil {
			return "", err
		}
		if err := w.listed.Replace(ctx, &part, from, to, e); err != nil {
			return "", err
		}
		n += len(old)
	}
	return fmt.Sprintf("%d, leaving %d", n, len(part.Entries)), nil
}

// leaveToArchive archives all that is folded, merges most entries, and drops cold chunks from etcd.
func (w *world) leaveToArchive(ctx context.Context, r *rand.Rand) (string, error) {
	for p := range events.Partition(worldPartitions) {
		for _, do := range []func(context.Context, events.Partition, *rand.Rand) (string, error){w.archiveEvents, w.archiveEvents, w.mergeEntries, w.dropChunks} {
			if _, err := do(ctx, p, r); err != nil {
				return "", err
			}
		}
	}
	return "", nil
}

// removeReplaced removes the objects of entries that were merged.
func (w *world) removeReplaced(ctx context.Context, _ *rand.Rand) (string, error) {
	n := 0
	for p := range events.Partition(worldPartitions) {
		part, err := w.listed.Load(ctx, p)
		if err != nil {
			return "", err
		}
		for _, old := range slices.Clone(part.Replaced) {
			for _, name := range old.Objects {
				if err := w.shelf.Remove(ctx, name); err != nil {
					return "", err
				}
				n++
			}
			if err := w.listed.DeleteReplaced(ctx, &part, old); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprint(n), nil
}

// mergeChunks merges the chunks of windows of a partition in etcd.
func (w *world) mergeChunks(ctx context.Context, p events.Partition, r *rand.Rand) (string, error) {
	chunks, err := w.store.Chunks(ctx, w.active.name, p, maxRevision)
	if err != nil {
		return "", err
	}
	n, done := 0, make(map[snapshot.StoredChunk]bool)
	for _, c := range chunks {
		window := snapshot.StoredChunk{Host: c.Host, Window: c.Window}
		if done[window] || r.IntN(3) == 0 {
			continue
		}
		done[window] = true
		merges, err := w.store.Merges(ctx, w.active.name, p, c.Host, c.Window)
		if err != nil {
			return "", err
		}
		if len(merges) > 0 {
			n++
			if err := w.store.Save(ctx, w.active.name, p, snapshot.Commit{Merges: merges}); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("%d windows", n), nil
}

const maxRevision = 1 << 60

// rebuild begins another generation, or folds more of it from archive and log, or makes it the active one.
func (w *world) rebuild(ctx context.Context, r *rand.Rand) (string, error) {
	all, err := w.store.Generations(ctx)
	if err != nil {
		return "", err
	}
	if w.building == nil {
		return w.beginRebuild(ctx, all, r)
	}
	g, read := w.building, manifest.NewReader(w.log, w.shelf, w.listed)
	some := r.IntN(2) == 0
	for p := range events.Partition(worldPartitions) {
		var evs []events.Event
		upto := w.active.folded[p]
		for ev, err := range read.Read(ctx, p, g.folded[p], upto) {
			if err != nil {
				return "", err
			}
			evs = append(evs, ev)
		}
		if n := len(evs) / 2; some && n > 0 && evs[n-1].Revision != evs[n].Revision {
			evs, upto = evs[:n], evs[n-1].Revision
		}
		if err := w.save(ctx, g, p, evs, upto, r); err != nil {
			return "", err
		}
	}
	if some {
		return "goes on", nil
	}
	evict := func(old projections.Generation) clientv3.Op {
		return clientv3.OpDelete(w.cfg.Key("owners", string(old)), clientv3.WithPrefix())
	}
	if err := w.store.Activate(ctx, all, g.name, evict); err != nil {
		return "", err
	}
	w.retired = append(w.retired, w.active.name)
	w.active, w.building = g, nil
	w.seen["switch"]++
	return "is complete, and active", nil
}

// beginRebuild creates a generation that leaves archived records to the archive, or keeps everything in etcd.
func (w *world) beginRebuild(ctx context.Context, all snapshot.Generations, r *rand.Rand) (string, error) {
	name, err := w.store.Create(ctx, all, snapshot.ModelVersion, false)
	if err != nil {
		return "", err
	}
	w.building = newFoldedGeneration(name)
	if r.IntN(3) == 0 {
		return "begins, all in etcd", nil
	}
	for p := range events.Partition(worldPartitions) {
		head, err := w.listed.Head(ctx, p)
		if err != nil {
			return "", err
		}
		if head.At.Number > 0 {
			w.building.skip[p], w.building.hotFrom[p] = head.At, projections.WindowOf(start)+projections.Window(r.IntN(w.hour+2))
		}
	}
	return "begins", nil
}

// removeGeneration removes the generations that were replaced.
func (w *world) removeGeneration(ctx context.Context, _ *rand.Rand) (string, error) {
	if err := w.refreshView(ctx); err != nil {
		return "", err
	}
	all, err := w.store.Generations(ctx)
	if err != nil {
		return "", err
	}
	for _, g := range w.retired {
		if err := w.store.Remove(ctx, g, all.All[g], func(int) {}); err != nil {
			return "", err
		}
	}
	n := len(w.retired)
	w.retired = nil
	return fmt.Sprint(n), nil
}
