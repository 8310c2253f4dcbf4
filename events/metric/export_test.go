package metric

import "slices"

// All returns the whole catalogue, sorted by name.
func All() []Metric { return slices.Clone(catalogue().metrics) }

// CatalogueText returns the embedded table.
func CatalogueText() string { return catalogueText }

// CheckTable returns the error of parsing a catalogue from text.
func CheckTable(text string) error {
	_, err := parseTable(text)
	return err
}
