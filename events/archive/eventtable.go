package archive

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"

	"telemetry-pipeline/events"
)

// eventRow is a row of an events object: this struct is the object's schema. Attributes that an event lacks are NULL.
type eventRow struct {
	Event      int32  `parquet:"event,delta"` // from 0, in order of revision, then key
	Revision   int64  `parquet:"revision,delta"`
	Key        string `parquet:"key,optional"`
	AppendedAt int64  `parquet:"appended_at,optional,timestamp(nanosecond),delta"`
	Upload     string `parquet:"upload,optional,dict"`
	Host       string `parquet:"host,optional,dict"`
	Zone       string `parquet:"zone,optional,dict"`
	Sequence   string `parquet:"sequence,optional"` // where the key does not end in it
	Records    int32  `parquet:"records,delta"`     // as appended; a merge may have dropped repeats
	Damage     string `parquet:"damage,optional"`   // why the event has no records
	Value      []byte `parquet:"value,optional"`    // the stored value of a damaged event
}

// rowOf returns the row of event number n.
func rowOf(ev *events.Event, n int32) eventRow {
	r := eventRow{
		Event: n, Revision: ev.Revision.Number, Key: escape(ev.Key), AppendedAt: int64(ev.AppendedAt),
		Upload: escape(string(ev.Upload)), Host: escape(string(ev.Host)), Zone: escape(ev.Zone), Records: int32(ev.Records()),
	}
	if ev.Damage != nil {
		r.Damage = cmp.Or(escape(ev.Damage.Error()), "unknown") // not empty: it marks the row as damaged
		if damage, found := errors.AsType[*events.DamageError](ev.Damage); found {
			r.Value = damage.Value
		}
		return r
	}
	if s := ev.Sequence.String(); !strings.HasSuffix(ev.Key, "_"+s) {
		r.Sequence = s
	}
	return r
}

// toEvent returns the event of a row, without its records.
func (r *eventRow) toEvent(log events.Revision) (events.Event, error) {
	log.Number = r.Revision
	ev := events.Event{Revision: log, AppendedAt: events.Timestamp(r.AppendedAt)}
	texts := [...]string{r.Key, r.Zone, r.Host, r.Upload}
	for i := range texts {
		var err error
		if texts[i], err = unescape(texts[i]); err != nil {
			return events.Event{}, err
		}
	}
	ev.Key, ev.Zone, ev.Host, ev.Upload = texts[0], texts[1], events.HostID(texts[2]), events.UploadID(texts[3])
	if r.Damage == "" {
		var err error
		ev.Sequence, err = r.contentHash(ev.Key)
		return ev, err
	}
	damage, err := unescape(r.Damage)
	ev.Damage = damageOf(damage, r.Value)
	return ev, err
}

// contentHash returns the hash in column sequence, or else the one that the key ends in.
func (r *eventRow) contentHash(key string) (events.ContentHash, error) {
	text := r.Sequence
	if text == "" {
		text = key[strings.LastIndexByte(key, '_')+1:]
	}
	return events.ParseContentHash(text)
}

// archivedDamage is the cause of a damage, with the text it had when the event was archived. errors.Is and errors.As still
// find the original cause.
type archivedDamage struct {
	text  string
	cause error // events.ErrOverwritten, an events.UnknownEncodingError, or nil
}

func (d *archivedDamage) Error() string { return d.text }

func (d *archivedDamage) Unwrap() error { return d.cause }

func damageOf(text string, value []byte) error {
	d := &archivedDamage{text: text}
	if strings.Contains(text, events.ErrOverwritten.Error()) {
		d.cause = events.ErrOverwritten
	} else if len(value) > 0 {
		if unknown := (&events.UnknownEncodingError{Tag: value[0]}); strings.Contains(text, unknown.Error()) {
			d.cause = unknown
		}
	}
	return &events.DamageError{Value: value, Cause: d}
}

// writeEvents returns the content of an events object.
func writeEvents(rows []eventRow, codec *pageCodec) ([]byte, error) {
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[eventRow](&buf, writerOptions(Events, codec)...)
	if _, err := w.Write(rows); err != nil {
		return nil, fmt.Errorf("writing event table: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("writing event table: %w", err)
	}
	return buf.Bytes(), nil
}

// readEvents returns the rows of an events object.
func readEvents(content []byte) ([]eventRow, error) {
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, err
	}
	r := parquet.NewGenericReader[eventRow](f)
	defer r.Close()
	rows := make([]eventRow, r.NumRows())
	if n, err := r.Read(rows); n < len(rows) || err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%d of %d rows: %w", n, len(rows), err)
	}
	for i := range rows {
		if len(rows[i].Value) == 0 {
			rows[i].Value = nil // the reader returns nil or empty, which are written differently
		}
	}
	return rows, nil
}
