package archive

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"telemetry-pipeline/events"
)

// escapeMark begins an escape in a text column: two marks stand for one, and a mark with two hexadecimal digits is a byte
// that is not UTF-8. Parquet's strings must be UTF-8, and readers refuse files with other strings.
const escapeMark = "\uFFFD"

// escape returns any text as UTF-8; unescape is its inverse. UTF-8 texts without a mark stay as they are.
func escape(text string) string {
	if utf8.ValidString(text) && !strings.Contains(text, escapeMark) {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r != utf8.RuneError:
			b.WriteString(text[:size])
		case size == len(escapeMark):
			b.WriteString(escapeMark + escapeMark)
		default:
			b.WriteString(escapeMark + hex.EncodeToString([]byte{text[0]}))
			size = 1
		}
		text = text[size:]
	}
	return b.String()
}

func unescape(text string) (string, error) {
	if !strings.Contains(text, escapeMark) {
		return text, nil
	}
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(text, escapeMark)
		b.WriteString(plain)
		if !found {
			return b.String(), nil
		}
		if after, twice := strings.CutPrefix(rest, escapeMark); twice {
			b.WriteString(escapeMark)
			text = after
			continue
		}
		if len(rest) < 2 {
			return "", fmt.Errorf("text %.64q ends within an escape", text)
		}
		raw, err := hex.DecodeString(rest[:2])
		if err != nil {
			return "", fmt.Errorf("text %.64q has an unknown escape", text)
		}
		b.Write(raw)
		text = rest[2:]
	}
}

// labelsText returns labels as a JSON object in their order, "" when there are none. A name that a source has twice is in
// it twice.
func labelsText(labels []events.Label) (string, error) {
	if len(labels) == 0 {
		return "", nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, l := range labels {
		b.WriteByte("{,"[min(i, 1)])
		for k, text := range []string{l.Name, l.Value} {
			if k > 0 {
				b.WriteByte(':')
			}
			if err := enc.Encode(escape(text)); err != nil {
				return "", fmt.Errorf("writing label %.64q: %w", l.Name, err)
			}
			b.Truncate(b.Len() - 1) // the encoder's newline
		}
	}
	b.WriteByte('}')
	return b.String(), nil
}

// parseLabels is the inverse of labelsText.
func parseLabels(text string) ([]events.Label, error) {
	if text == "" {
		return nil, nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("labels %.64q are no JSON object", text)
	}
	var labels []events.Label
	for dec.More() {
		name, err1 := labelToken(dec)
		value, err2 := labelToken(dec)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("reading labels %.64q: %w", text, err)
		}
		labels = append(labels, events.Label{Name: name, Value: value})
	}
	return labels, nil
}

func labelToken(dec *json.Decoder) (string, error) {
	t, err := dec.Token()
	if err != nil {
		return "", err
	}
	text, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%v is no text", t)
	}
	return unescape(text)
}
