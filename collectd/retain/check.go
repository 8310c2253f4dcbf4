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

// ErrIncomplete ends a check that found an entry with a missing or damaged object.
var ErrIncomplete = errors.New("the archive does not have what its manifest lists: restore these objects from a copy, or see docs/runbooks/archive.md")

// ErrSafeAge refuses to remove objects that a collector may be about to list.
var ErrSafeAge = fmt.Errorf("objects younger than %s may be listed yet by the collector that wrote them: give an age of at least that", safeAge)

// safeAge is longer than an owner can take from writing an object to listing it: its claim ends before.
const safeAge = 10 * time.Minute

// Check configures the comparison of an archive with its manifest. The zero value of each field means its default.
type Check struct {
	Deep           bool          // read every object and compare its content
	RemoveUnlisted bool          // remove objects that no entry lists
	OlderThan      time.Duration // removes only older objects; default 1h
}

const defaultOlderThan = time.Hour

// Flags registers the flags of the command.
func (c *Check) Flags(fs *flag.FlagSet) {
	fs.BoolVar(&c.Deep, "deep", false, "read every object and compare its content with its hash, not only its size")
	fs.BoolVar(&c.RemoveUnlisted, "remove-unlisted", false, "remove objects that no entry lists")
	fs.DurationVar(&c.OlderThan, "older-than", defaultOlderThan, "remove only those that are older")
}

// Run compares the archive with the manifest and writes its findings to out: objects without an entry, and entries
// without their objects. The manifest is read before and after the objects, so that a change by a collector meanwhile
// does not become a finding. Run returns ErrIncomplete when an object is missing or damaged; objects without an entry
// harm nothing.
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
		found, err := c.checkPartition(ctx, p, m, store, out)
		if err != nil {
			return err
		}
		total.addFindings(found)
	}
	fmt.Fprintf(out, "%d entries list %d objects of %s; %d more wait for their removal\n",
		total.entries, total.listed, humanize.IBytes(uint64(total.bytes)), total.replaced)
	fmt.Fprintf(out, "%d objects of %s have no entry, %d of them older than %s; removed %d\n",
		total.unlisted, humanize.IBytes(uint64(total.unlistedBytes)), total.old, c.OlderThan, total.removed)
	if total.faulty > 0 {
		return fmt.Errorf("%d objects: %w", total.faulty, ErrIncomplete)
	}
	return nil
}

// findings are the counts of a check.
type findings struct {
	entries, listed, replaced, unlisted, old, removed, faulty int
	bytes, unlistedBytes                                      int64
}

func (f *findings) addFindings(o findings) {
	f.entries, f.listed, f.replaced, f.bytes = f.entries+o.entries, f.listed+o.listed, f.replaced+o.replaced, f.bytes+o.bytes
	f.unlisted, f.old, f.removed, f.unlistedBytes = f.unlisted+o.unlisted, f.old+o.old, f.removed+o.removed, f.unlistedBytes+o.unlistedBytes
	f.faulty += o.faulty
}

// checkPartition compares one partition and returns its findings.
func (c Check) checkPartition(ctx context.Context, p events.Partition, m *manifest.Manifest, store *archive.Store, out io.Writer) (findings, error) {
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
	known := objectNames(&before)
	for name := range objectNames(&after) {
		known[name] = true
	}
	found.countManifest(&after)
	if err := c.checkListed(ctx, &before, &after, there, store, out, &found); err != nil {
		return found, err
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if known[name] {
			continue
		}
		if err := c.reportUnlisted(ctx, there[name], store, out, &found); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (f *findings) countManifest(p *manifest.Partition) {
	f.entries = len(p.Entries)
	for i := range p.Entries {
		f.listed, f.bytes = f.listed+len(p.Entries[i].Objects), f.bytes+p.Entries[i].Bytes()
	}
	for _, r := range p.Replaced {
		f.replaced += len(r.Objects)
	}
}

// checkListed reports the missing and damaged objects of entries that were in the manifest before and after the
// listing.
func (c Check) checkListed(ctx context.Context, before, after *manifest.Partition, there map[string]archive.Stored, store *archive.Store, out io.Writer, found *findings) error {
	still := objectNames(after)
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
				found.faulty++
				fmt.Fprintf(out, "%s: %s (revisions %d to %d of partition %d)\n", o.Name, problem, e.First.Number, e.Last.Number, e.Partition)
			}
		}
	}
	return nil
}

// reportUnlisted reports an object that no entry lists, and removes it if requested.
func (c Check) reportUnlisted(ctx context.Context, o archive.Stored, store *archive.Store, out io.Writer, found *findings) error {
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

// objectNames returns the objects that a partition's manifest names: those listed by entries and those to be removed.
func objectNames(p *manifest.Partition) map[string]bool {
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
