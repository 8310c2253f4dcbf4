package metric

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// NamedField is one of the eight readings with a name of their own in a telemetry entry.
type NamedField struct {
	Name        string // as in wide files, REST and GraphQL, such as gpu_utilization
	Metric      string // canonical
	Unit        string
	Description string
}

// Named returns the named fields in the order of the wide form. The caller owns the slice.
func Named() []NamedField { return slices.Clone(catalogue().wideFields) }

// addWide adds the metric's field of the wide form, if it has one, at its position.
func addWide(wide map[int]NamedField, m *Metric, cells []string) error {
	name, order := cells[colWide], cells[colWideOrder]
	if name == "" && order == "" {
		return nil
	}
	position, err := strconv.Atoi(order)
	if err != nil {
		return fmt.Errorf("the position of %s in the wide form: %w", name, err)
	}
	if previous, exists := wide[position]; exists {
		return fmt.Errorf("%s and %s share one position in the wide form", previous.Name, name)
	}
	description := strings.TrimSuffix(m.Help, ".") + ", in " + unitInWords(m.Unit) + "."
	wide[position] = NamedField{Name: name, Metric: m.Name, Unit: m.Unit, Description: description}
	return nil
}

func unitInWords(unit string) string {
	switch unit {
	case "%":
		return "percent"
	case "°C":
		return "degrees Celsius"
	case "W":
		return "watts"
	}
	return unit
}
