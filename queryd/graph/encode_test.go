package graph

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDataIsEncodedAsEncodingJSONDoes(t *testing.T) {
	for _, data := range []any{
		nil, true, 1.5, 7, "a \"<b>\" & \u2028 \xff", json.Number("66.781"), json.RawMessage(nil), json.RawMessage(`{"a":[1,null]}`),
		time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC), []string{"b", "a"}, map[string]string{"b": "1", "a": "2"},
		[]any(nil), map[string]any(nil), []any{}, map[string]any{},
		map[string]any{"z": []any{map[string]any{"b\n": nil, "a": json.RawMessage(`[0]`)}, "x"}, "": 1},
	} {
		want, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := appendData([]byte("before"), data)
		if err != nil || string(got) != "before"+string(want) {
			t.Errorf("%#v: got %s, %v; want %s", data, got[len("before"):], err, want)
		}
	}
	if _, err := appendData(nil, map[string]any{"a": []any{func() {}}}); err == nil {
		t.Error("what encoding/json cannot encode gave no error")
	}
}
