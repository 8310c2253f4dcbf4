package transfer

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// target is the log that events are imported into (eventlog.Log).
type target interface {
	Facts() events.Facts
	Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error)
	Get(ctx context.Context, key string) (events.Event, bool, error)
}

// archiveIndex reports whether an event has left the log for the archive (Archive).
type archiveIndex interface {
	Has(ctx context.Context, key events.Key) (bool, error)
}

// Import counts the results of an import.
type Import struct {
	Created  int // events that the log did not have
	Existing int // events that the log or the archive had
	Records  int // of all events
	Damaged  int // lines of events that were damaged where they were exported
	Bad      int // lines that are not of an export
}

// Importer appends exported lines to a log.
type Importer struct {
	Root    eventlog.Config // of the log, for its keys
	To      target
	Archive archiveIndex // nil without an archive
}

const (
	maxLine        = 32 << 20 // bytes of a line
	maxReportedBad = 10       // bad lines that are reported one by one
	batchEvents    = 256      // appended at a time
	batchBytes     = 8 << 20
)

// ErrBadLines ends an import in which some lines could not be used; the others are imported.
var ErrBadLines = errors.New("some lines could not be imported")

// Files imports files, where "-" stands for in, and reports on progress the counts and the bad lines. Importing the
// same again does no harm: existing events stay as they are.
func (im *Importer) Files(ctx context.Context, names []string, in io.Reader, progress io.Writer) (Import, error) {
	codec, err := events.NewCodec()
	if err != nil {
		return Import{}, err
	}
	i := importRun{Importer: im, codec: codec, progress: newProgress(progress)}
	for _, name := range names {
		if err := i.importFile(ctx, name, in); err != nil {
			return i.Import, fmt.Errorf("importing %s (what was imported stays; import it again): %w", name, err)
		}
	}
	i.progress.printLine("imported %d events: %d created, %d there already, with %d records", i.Created+i.Existing, i.Created, i.Existing, i.Records)
	if i.Damaged > 0 {
		i.progress.printLine("%d events were damaged where they were exported, and left out", i.Damaged)
	}
	if i.Bad > 0 {
		return i.Import, fmt.Errorf("%d lines: %w", i.Bad, ErrBadLines)
	}
	return i.Import, nil
}

// importRun is an import under way.
type importRun struct {
	*Importer
	Import
	codec    *events.Codec
	progress *progress

	pending []events.Event
	bytes   int
}

func (i *importRun) importFile(ctx context.Context, name string, in io.Reader) error {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	text, err := decompress(in)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(text)
	lines.Buffer(make([]byte, 0, 1<<20), maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := i.importLine(ctx, name, n, lines.Bytes()); err != nil {
			return err
		}
		i.progress.reportSometimes("imported %d events: %d created, %d there already; line %d of %s", i.Created+i.Existing, i.Created, i.Existing, n, name)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return i.appendPending(ctx)
}

func (i *importRun) importLine(ctx context.Context, name string, n int, text []byte) error {
	ev, key, err := parseLine(i.codec, text)
	switch {
	case errors.Is(err, errDamaged):
		i.Damaged++
		return nil
	case err != nil:
		if i.Bad++; i.Bad <= maxReportedBad {
			i.progress.printLine("%s, line %d: %v", name, n, err)
		}
		return nil
	}
	i.Records += ev.Records()
	there, err := i.alreadyStored(ctx, &ev, key)
	if err != nil {
		return err
	}
	if there {
		i.Existing++
		return nil
	}
	i.pending = append(i.pending, ev)
	if i.bytes += len(text); len(i.pending) >= batchEvents || i.bytes >= batchBytes {
		return i.appendPending(ctx)
	}
	return nil
}

// alreadyStored reports whether an event is where appending would not find it: in the archive, or whole in the log
// while the line has a part of it under the same key (the archive drops repeats when it merges).
func (i *importRun) alreadyStored(ctx context.Context, ev *events.Event, key string) (bool, error) {
	own := events.EventKey(cmp.Or(i.Root.ClusterID, eventlog.DefaultClusterID), i.To.Facts().Partitions, ev)
	had := own
	if k, err := events.ParseKey("queue/" + events.Escape(own.Cluster) + "/" + key); err == nil {
		k.Partition = own.Partition // the log has its own number of partitions
		had = k
	}
	if i.Archive != nil {
		if there, err := i.Archive.Has(ctx, had); there || err != nil {
			return there, err
		}
	}
	if had == own {
		return false, nil
	}
	_, there, err := i.To.Get(ctx, cmp.Or(i.Root.Root, eventlog.DefaultRoot)+"/"+had.String())
	return there, err
}

func (i *importRun) appendPending(ctx context.Context) error {
	if len(i.pending) == 0 {
		return nil
	}
	results, err := i.To.Append(ctx, i.pending)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Created {
			i.Created++
		} else {
			i.Existing++
		}
	}
	i.pending, i.bytes = i.pending[:0], 0
	return nil
}
