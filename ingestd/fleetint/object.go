package fleetint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"telemetry-pipeline/events"
)

var errNoObject = errors.New(`the labels are no JSON object such as {"gpu":"0","uuid":"GPU-…"}`)

// parseObject reads labels from a JSON object of texts, numbers, booleans and nulls; a null is no label, and an empty
// text is an object without labels.
func parseObject(text []byte) ([]events.Label, error) {
	if len(text) == 0 {
		return nil, nil
	}
	if !utf8.Valid(text) {
		return nil, errors.New("the text is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errNoObject
	}
	var labels []events.Label
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errNoObject
		}
		value, err := dec.Token()
		if _, nested := value.(json.Delim); err != nil || nested {
			return nil, errNoObject
		}
		l := events.Label{Name: name.(string)} // a member's name is always a string
		if slices.ContainsFunc(labels, func(m events.Label) bool { return m.Name == l.Name }) {
			return nil, fmt.Errorf("label %q is there twice", l.Name)
		}
		if value != nil {
			l.Value = fmt.Sprint(value)
			labels = append(labels, l)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNoObject
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errNoObject
	}
	return labels, nil
}
