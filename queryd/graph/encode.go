package graph

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
)

// appendResponse appends a GraphQL response; a refused request has no member data.
func appendResponse(out []byte, r *graphql.Result) (_ []byte, err error) {
	members := make(map[string]any, 2)
	if r.Data != nil {
		members["data"] = r.Data
	}
	if len(r.Errors) > 0 {
		members["errors"] = r.Errors
	}
	if len(r.Extensions) > 0 {
		members["extensions"] = r.Extensions
	}
	return appendObject(out, members)
}

// appendData appends a result of the library in the same way as encoding/json. Prepared JSON is copied: json.Marshal
// would read every byte of it again, and it is most of an answer.
func appendData(out []byte, data any) ([]byte, error) {
	switch v := data.(type) {
	case preparedJSON:
		return v.appendJSON(out), nil
	case events.Number:
		return v.Append(out), nil
	case json.RawMessage:
		if v != nil {
			return append(out, v...), nil
		}
	case map[string]any:
		if v != nil {
			return appendObject(out, v)
		}
	case []any:
		if v != nil {
			return appendItems(out, v)
		}
	default:
		text, err := json.Marshal(v)
		return append(out, text...), err
	}
	return append(out, "null"...), nil
}

func appendObject(out []byte, fields map[string]any) (_ []byte, err error) {
	out = append(out, '{')
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, name), ':')
		if out, err = appendData(out, fields[name]); err != nil {
			return out, err
		}
	}
	return append(out, '}'), nil
}

func appendItems(out []byte, items []any) (_ []byte, err error) {
	out = append(out, '[')
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendData(out, item); err != nil {
			return out, err
		}
	}
	return append(out, ']'), nil
}
