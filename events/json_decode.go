package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// DecodeJSON parses a TelemetryRecord: one row, or an array of rows of one host. A row is long (it has metric_name
// and value, one reading) or wide (a field per metric). Field names are the names of the DCGM long form and of the
// wide form, in any case.
//
// Metric names are kept unchanged. The fields of a wide row that hold a number are metrics; other fields without a
// Field of their own are labels. In a long row, null or "" is absent (blank), and any other text that is not a number
// is an error, as is a missing time or host. A time without a zone is UTC, which is then the event's Zone.
func DecodeJSON(data []byte) (Event, error) {
	d := jsonDecoder{open: new(openEvent)}
	ev, err := d.decodeRows(data)
	if err == nil {
		err = ev.Check()
	}
	if err != nil {
		return Event{}, fmt.Errorf("decoding event in JSON: %w", err)
	}
	return ev, nil
}

// jsonDecoder collects the rows of one value.
type jsonDecoder struct {
	open *openEvent
	rows []parsedRow
	meta Event // Sequence, Zone, Upload and AppendedAt, from the rows
}

// parsedRow holds the host and the records of a row.
type parsedRow struct {
	host    HostID
	records []Record
}

func (d *jsonDecoder) decodeRows(data []byte) (Event, error) {
	if len(data) > MaxBody {
		return Event{}, fmt.Errorf("%d bytes are more than %d", len(data), MaxBody)
	}
	if !utf8.Valid(data) {
		return Event{}, errors.New("it is not UTF-8")
	}
	if err := d.readRows(json.NewDecoder(bytes.NewReader(data)), data); err != nil {
		return Event{}, err
	}
	if len(d.rows) == 0 {
		return Event{}, errors.New("it has no rows")
	}
	d.open.beginEvent(d.rows[0].host, d.meta.Zone)
	for i := range d.rows {
		if row := &d.rows[i]; row.host != d.open.host {
			return Event{}, fmt.Errorf("row %d is of host %.64q, those before are of %.64q; write a value for each",
				i+1, row.host, d.open.host)
		}
		for k := range d.rows[i].records {
			d.open.addRecord(&d.rows[i].records[k])
		}
	}
	if len(d.open.readings) == 0 {
		return Event{}, errors.New("it has no readings")
	}
	var m eventMaker
	ev := m.makeEvent(d.open, d.meta.Upload)
	ev.AppendedAt = d.meta.AppendedAt
	if d.meta.Sequence != (ContentHash{}) {
		ev.Sequence = d.meta.Sequence
	}
	return ev, nil
}

// readRows parses one row, or an array of rows, and returns an error if anything follows.
func (d *jsonDecoder) readRows(dec *json.Decoder, data []byte) error {
	array := len(data) > 0 && data[0] == tagRows
	if array {
		if _, err := dec.Token(); err != nil {
			return err
		}
	}
	for n := 1; !array && n == 1 || array && dec.More(); n++ {
		var fields map[string]json.RawMessage
		err := dec.Decode(&fields)
		if err == nil {
			err = d.addRow(fields)
		}
		if err != nil {
			return fmt.Errorf("row %d: %w", n, err)
		}
	}
	if array {
		if _, err := dec.Token(); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind the rows")
	}
	return nil
}

func (d *jsonDecoder) addRow(fields map[string]json.RawMessage) error {
	f, err := assignFields(fields)
	if err != nil {
		return err
	}
	records, err := f.toRecords()
	if err != nil {
		return err
	}
	d.rows = append(d.rows, parsedRow{host: HostID(f.texts[FieldHostname]), records: records})
	return f.setEvent(&d.meta)
}
