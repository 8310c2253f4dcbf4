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

// archived tells whether an event has left the log for the archive (Archive).
type archived interface {
	Has(ctx context.Context, key events.Key) (bool, error)
}

// Import tells what came of imported lines.
type Import struct {
	Created  int // events that the log did not have
	Existing int // events that it, or the archive, had
	Records  int // of all of them
	Damaged  int // lines of events that were damaged where they were exported
	Bad      int // lines that are not of an export
}

// Importer appends exported lines to a log.
type Importer struct {
	Root    eventlog.Config // of the log, for its keys
	To      target
	Archive archived // nil: there is none
}

const (
	maxLine    = 32 << 20 // bytes of a line
	toldBad    = 10       // bad lines that are told one by one
	packEvents = 256      // appended at a time
	packBytes  = 8 << 20
)

// ErrBadLines ends an import of which some lines could not be used; the others are imported.
var ErrBadLines = errors.New("some lines could not be imported")

// Files imports files, "-" being in, and tells on progress how far it is and which lines are bad. Importing the same
// again does no harm: what is there stays as it is.
func (im *Importer) Files(ctx context.Context, names []string, in io.Reader, progress io.Writer) (Import, error) {
	codec, err := events.NewCodec()
	if err != nil {
		return Import{}, err
	}
	i := importing{Importer: im, codec: codec, told: newTold(progress)}
	for _, name := range names {
		if err := i.file(ctx, name, in); err != nil {
			return i.Import, fmt.Errorf("importing %s (what was imported stays; import it again): %w", name, err)
		}
	}
	i.told.end("imported %d events: %d created, %d there already, with %d records", i.Created+i.Existing, i.Created, i.Existing, i.Records)
	if i.Damaged > 0 {
		i.told.end("%d events were damaged where they were exported, and left out", i.Damaged)
	}
	if i.Bad > 0 {
		return i.Import, fmt.Errorf("%d lines: %w", i.Bad, ErrBadLines)
	}
	return i.Import, nil
}

// importing is an import under way.
type importing struct {
	*Importer
	Import
	codec *events.Codec
	told  *told

	pack  []events.Event
	bytes int
}

func (i *importing) file(ctx context.Context, name string, in io.Reader) error {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	text, err := unpacked(in)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(text)
	lines.Buffer(make([]byte, 0, 1<<20), maxLine)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := i.line(ctx, name, n, lines.Bytes()); err != nil {
			return err
		}
		i.told.now("imported %d events: %d created, %d there already; line %d of %s", i.Created+i.Existing, i.Created, i.Existing, n, name)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return i.append(ctx)
}

func (i *importing) line(ctx context.Context, name string, n int, text []byte) error {
	ev, key, err := parse(i.codec, text)
	switch {
	case errors.Is(err, errDamaged):
		i.Damaged++
		return nil
	case err != nil:
		if i.Bad++; i.Bad <= toldBad {
			i.told.end("%s, line %d: %v", name, n, err)
		}
		return nil
	}
	i.Records += ev.Records()
	there, err := i.there(ctx, &ev, key)
	if err != nil {
		return err
	}
	if there {
		i.Existing++
		return nil
	}
	i.pack = append(i.pack, ev)
	if i.bytes += len(text); len(i.pack) >= packEvents || i.bytes >= packBytes {
		return i.append(ctx)
	}
	return nil
}

// there tells whether an event is where appending would not find it: in the archive, or in the log whole, of which the
// line has a part under the same key (the archive drops repeats when it merges).
func (i *importing) there(ctx context.Context, ev *events.Event, key string) (bool, error) {
	own := events.EventKey(cmp.Or(i.Root.ClusterID, eventlog.DefaultClusterID), i.To.Facts().Partitions, ev)
	had := own
	if k, err := events.ParseKey("queue/" + events.Escape(own.Cluster) + "/" + key); err == nil {
		k.Partition = own.Partition // which is of the log's number of partitions
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

func (i *importing) append(ctx context.Context) error {
	if len(i.pack) == 0 {
		return nil
	}
	results, err := i.To.Append(ctx, i.pack)
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
	i.pack, i.bytes = i.pack[:0], 0
	return nil
}
