package transfer

import (
	"encoding/json"
	"testing"
)

// An export is a file of a user's, and later versions import it: its members stay as they are.
func TestExportedLineKeepsItsMembers(t *testing.T) {
	l := line{
		Key: "036/20250718T204234.000000000Z_rack7_3_487a", Revision: "1f-2e-42", Event: json.RawMessage(`[{"value":1}]`),
		Compact: []byte{1, 2}, Damage: "damaged", Value: []byte{3},
	}
	const want = `{"key":"036/20250718T204234.000000000Z_rack7_3_487a","revision":"1f-2e-42","event":[{"value":1}],"compact":"AQI=","damage":"damaged","value":"Aw=="}` + "\n"
	got, err := appendLine(nil, &l)
	if err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s: files that were exported before have the old members, so keep them and add new ones", got, err, want)
	}
}
