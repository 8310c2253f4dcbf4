package unpack

import (
	"fmt"
	"os"

	"filippo.io/age"
)

// ReadIdentities reads the identities in a file as age-keygen writes it.
func ReadIdentities(path string) ([]age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading age identities: %w", err)
	}
	defer f.Close()
	ids, err := age.ParseIdentities(f)
	if err != nil {
		return nil, fmt.Errorf("reading age identities from %s, which should be as age-keygen writes it: %w", path, err)
	}
	return ids, nil
}
