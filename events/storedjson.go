package events

import (
	"encoding/json"
	"fmt"
)

// jsonVersion is the newest form of the JSON values that processes store: facts, offsets, generations, entries of the
// quarantine, states of uploads, manifests of the spool, heads of the archive. It is not written; a later form says "version": 2.
const jsonVersion = 1

// DecodeStoredJSON decodes a stored JSON value into v. It refuses a value of a later form, whose members may mean
// something else, instead of reading them as zero.
func DecodeStoredJSON(value []byte, v any) error {
	var form struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(value, &form); err != nil {
		return err
	}
	if form.Version > jsonVersion {
		return fmt.Errorf("it is of form %d, and this program reads form %d; a newer one has written it, so run that one", form.Version, jsonVersion)
	}
	return json.Unmarshal(value, v)
}
