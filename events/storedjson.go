package events

import (
	"encoding/json"
	"fmt"
)

// jsonVersion is the newest form of the JSON values that processes store: generations, entries of the
// quarantine, states of uploads, manifests of the spool, heads of the archive. It is not written; a later form says "version": 2.
// Offsets have a form 2.
const jsonVersion = 1

// DecodeStoredJSON decodes a stored JSON value into v. It refuses a value of a later form, whose members may mean
// something else, instead of reading them as zero.
func DecodeStoredJSON(value []byte, v any) error {
	if _, err := StoredJSONForm(value, jsonVersion); err != nil {
		return err
	}
	return json.Unmarshal(value, v)
}

// StoredJSONForm returns the form of a stored JSON value. It refuses a form later than newest.
func StoredJSONForm(value []byte, newest int) (int, error) {
	var form struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(value, &form); err != nil {
		return 0, err
	}
	if form.Version > newest {
		return 0, fmt.Errorf("it is of form %d, and this program reads form %d; a newer one has written it, so run that one", form.Version, newest)
	}
	return max(form.Version, 1), nil // form 1 does not name itself
}
