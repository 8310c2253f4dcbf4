package retain

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
)

// ErrAstray is the end of a check that found an entry without what it lists, or with something else.
var ErrAstray = errors.New("the archive does not have what its manifest lists: restore these objects from a copy, or see docs/runbooks/archive.md")

// ErrSafeAge refuses to remove what a collector may be about to list.
var ErrSafeAge = fmt.Errorf("what is younger than %s may be listed yet by a collector that is at it: give an age of at least that", safeAge)

// safeAge is longer than an owner can take from writing an object to listing it: its claim ends before.
const safeAge = 10 * time.Minute

// Check says how an archive is compared with its manifest. The zero value of each field means its default.
type Check struct {
	Deep           bool          // read every object and compare its content
	RemoveUnlisted bool          // remove objects that no entry lists
	OlderThan      time.Duration // only those; default 1h
}

const defaultOlderThan = time.Hour

// Flags registers the flags of the command.
func (c *Check) Flags(fs *flag.FlagSet) {
	fs.BoolVar(&c.Deep, "deep", false, "read every object and compare its content with its hash, not only its size")
	fs.BoolVar(&c.RemoveUnlisted, "remove-unlisted", false, "remove objects that no entry lists")
	fs.DurationVar(&c.OlderThan, "older-than", defaultOlderThan, "remove only those that are older")
}

// Run compares and writes to out what it finds: objects without an entry, and entries without their objects. The manifest is
// read before and after the objects, so that what a collector does meanwhile is not taken for a finding. It gives
// ErrAstray when something is missing or damaged; objects without an entry harm nothing.
func (c Check) Run(ctx context.Context, root eventlog.Config, where archive.Config, out io.Writer, lg *slog.Logger) error {
	if c.OlderThan == 0 {
		c.OlderThan = defaultOlderThan
	}
	if c.RemoveUnlisted && c.OlderThan < safeAge {
		return ErrSafeAge
	}
	log, err := eventlog.Open(ctx, root, lg)
	if err != nil {
		return err
	}
	defer log.Close()
	client, err := root.Dial(lg)
	if err != nil {
		return err
	}
	defer client.Close()
	store, err := where.Open(ctx)
	if err != nil {
		return err
	}
	if store == nil {
		return manifest.ErrNoArchive
	}
	defer store.Close()
	m := manifest.New(client, root, log.Facts())
	total := findings{}
	for p := range events.Partition(log.Facts().Partitions) {
		found, err := c.partition(ctx, p, m, store, out)
		if err != nil {
			return err
		}
		total.add(found)
	}
	fmt.Fprintf(out, "%d entries list %d objects of %s; %d more wait for their removal\n",
		total.entries, total.listed, humanize.IBytes(uint64(total.bytes)), total.replaced)
	fmt.Fprintf(out, "%d objects of %s have no entry, %d of them older than %s; removed %d\n",
		total.unlisted, humanize.IBytes(uint64(total.unlistedBytes)), total.old, c.OlderThan, total.removed)
	if total.astray > 0 {
		return fmt.Errorf("%d objects: %w", total.astray, ErrAstray)
	}
	return nil
}

// findings is what was found.
type findings struct {
	entries, listed, replaced, unlisted, old, removed, astray int
	bytes, unlistedBytes                                      int64
}

func (f *findings) add(o findings) {
	f.entries, f.listed, f.replaced, f.bytes = f.entries+o.entries, f.listed+o.listed, f.replaced+o.replaced, f.bytes+o.bytes
	f.unlisted, f.old, f.removed, f.unlistedBytes = f.unlisted+o.unlisted, f.old+o.old, f.removed+o.removed, f.unlistedBytes+o.unlistedBytes
	f.astray += o.astray
}

// partition compares one partition.
func (c Check) partition(ctx context.Context, p events.Partition, m *manifest.Manifest, store *archive.Store, out io.Writer) (findings, error) {
	var found findings
	before, err := m.Load(ctx, p)
	if err != nil {
		return found, err
	}
	there := map[string]archive.Stored{}
	for o, err := range store.List(ctx, p) {
		if err != nil {
			return found, err
		}
		there[o.Name] = o
	}
	after, err := m.Load(ctx, p)
	if err != nil {
		return found, err
	}
	known := names(&before)
	for name := range names(&after) {
		known[name] = true
	}
	found.count(&after)
	if err := c.astray(ctx, &before, &after, there, store, out, &found); err != nil {
		return found, err
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if known[name] {
			continue
		}
		if err := c.unlisted(ctx, there[name], store, out, &found); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (f *findings) count(p *manifest.Partition) {
	f.entries = len(p.Entries)
	for i := range p.Entries {
		f.listed, f.bytes = f.listed+len(p.Entries[i].Objects), f.bytes+p.Entries[i].Bytes()
	}
	for _, r := range p.Replaced {
		f.replaced += len(r.Objects)
	}
}

// astray tells of entries that were there all the time and whose objects are not.
func (c Check) astray(ctx context.Context, before, after *manifest.Partition, there map[string]archive.Stored, store *archive.Store, out io.Writer, found *findings) error {
	still := names(after)
	for i := range before.Entries {
		e := &before.Entries[i].Entry
		for _, o := range e.Objects {
			if !still[o.Name] {
				continue
			}
			stored, is := there[o.Name]
			problem := ""
			switch {
			case !is:
				problem = "missing"
			case stored.Bytes != o.Bytes:
				problem = fmt.Sprintf("damaged: it has %d bytes instead of %d", stored.Bytes, o.Bytes)
			case c.Deep:
				err := store.Check(ctx, archive.Entry{Objects: []archive.Object{o}})
				if damaged, ok := errors.AsType[*archive.DamagedError](err); ok {
					problem = "damaged: " + damaged.Reason
				} else if err != nil && !errors.Is(err, archive.ErrMissing) {
					return err
				}
			}
			if problem != "" {
				found.astray++
				fmt.Fprintf(out, "%s: %s (revisions %d to %d of partition %d)\n", o.Name, problem, e.First.Number, e.Last.Number, e.Partition)
			}
		}
	}
	return nil
}

// unlisted tells of an object that no entry lists, and removes it if that is wanted.
func (c Check) unlisted(ctx context.Context, o archive.Stored, store *archive.Store, out io.Writer, found *findings) error {
	age := time.Since(o.ModifiedAt)
	found.unlisted, found.unlistedBytes = found.unlisted+1, found.unlistedBytes+o.Bytes
	what := "no entry lists it"
	if age >= c.OlderThan {
		if found.old++; c.RemoveUnlisted {
			if err := store.Remove(ctx, o.Name); err != nil {
				return err
			}
			found.removed++
			what = "no entry listed it; removed"
		}
	}
	fmt.Fprintf(out, "%s: %s (%s, %s old)\n", o.Name, what, humanize.IBytes(uint64(o.Bytes)), age.Round(time.Second))
	return nil
}

// names gives all that a partition's manifest names: what entries list and what is to be removed.
func names(p *manifest.Partition) map[string]bool {
	all := map[string]bool{}
	for i := range p.Entries {
		for _, o := range p.Entries[i].Objects {
			all[o.Name] = true
		}
	}
	for _, r := range p.Replaced {
		for _, name := range r.Objects {
			all[name] = true
		}
	}
	return all
}
