package metric

import "slices"

// All returns the whole catalogue, sorted by name.
func All() []Metric { return slices.Clone(catalogue().metrics) }

// CatalogueText is the table that the package embeds.
func CatalogueText() string { return catalogueText }

// CheckTable returns the error that a catalogue of this text would have.
func CheckTable(text string) error {
	_, err := parseTable(text)
	return err
}
