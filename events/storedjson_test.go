package events

import (
	"strings"
	"testing"
)

func TestStoredJSONOfALaterFormIsRefused(t *testing.T) {
	var v struct{ Live int64 }
	if err := DecodeStoredJSON([]byte(`{"live":7}`), &v); err != nil || v.Live != 7 {
		t.Errorf("got %+v and %v, want 7", v, err)
	}
	if err := DecodeStoredJSON([]byte(`{"version":1,"live":8}`), &v); err != nil || v.Live != 8 {
		t.Errorf("got %+v and %v, want 8", v, err)
	}
	for _, value := range []string{`{"version":2,"live":9}`, `{"version":2,"position":{"live":9}}`} {
		if err := DecodeStoredJSON([]byte(value), &v); err == nil || !strings.Contains(err.Error(), "a newer one has written it") {
			t.Errorf("decoding %s: got %v, want an error that names the newer program", value, err)
		}
	}
	if err := DecodeStoredJSON([]byte(`{`), &v); err == nil {
		t.Error("bytes that are no JSON were decoded")
	}
	if _, err := DecodeFacts([]byte(`{"version":3,"epoch":"0000000000000001"}`)); err == nil || !strings.Contains(err.Error(), "form 3") {
		t.Errorf("facts of a later form: got %v, want an error", err)
	}
}

// The numbers of reasons are stored (compact events, archive objects), so that their order is a stored form too.
func TestReasonsKeepTheirNumbers(t *testing.T) {
	want := []string{"present", "blank", "not_found", "not_supported", "not_permitted", "deprecated", "error", "lost", "reset_required", "implausible", "ambiguous"}
	reasons := []Reason{Present, Blank, NotFound, NotSupported, NotPermitted, Deprecated, ReadError, Lost, ResetRequired, Implausible, Ambiguous}
	for number, r := range reasons {
		if int(r) != number {
			t.Errorf("%s has the number %d, and %d is stored for it: never renumber, add new reasons behind the last", r, int(r), number)
		}
		if r != Present && r.String() != want[number] {
			t.Errorf("reason %d is called %q, and %q is stored for it in JSON", number, r, want[number])
		}
	}
}
