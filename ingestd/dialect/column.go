package dialect

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Column is one column of a file.
type Column struct {
	Name  string // as the header spells it, trimmed
	Field Field
	Rank  Rank
}

// Columns returns the columns of a header, each with its field.
func Columns(header [][]byte) []Column {
	all := make([]Column, len(header))
	for i, cell := range header {
		name := string(bytes.TrimSpace(cell))
		field, rank := FieldOf(name)
		all[i] = Column{name, field, rank}
	}
	return all
}

// CheckColumns refuses a header in which two columns have the same field or the same name. A pair such as pod and
// exported_pod is allowed, as is a node beside a Hostname, which may be a pod.
func CheckColumns(columns []Column) error {
	type subject struct {
		field    Field
		exported bool
		node     bool
		name     string
	}
	seen := map[subject]string{}
	for _, c := range columns {
		s := subject{field: c.Field, exported: c.Rank == Exported, node: c.Field == Host && namesNode(c.Name)}
		if c.Field == Label {
			s.name = strings.ToLower(c.Name)
		}
		if first, found := seen[s]; found && c.Name != "" {
			if first == c.Name {
				return fmt.Errorf("the column %s is there twice; leave one out", c.Name)
			}
			return fmt.Errorf("the columns %s and %s mean the same; leave one out", first, c.Name)
		}
		seen[s] = c.Name
		if !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, isControl) || len(c.Name) > maxName {
			return fmt.Errorf("the column name %.80q is no text of at most %d bytes; is the file damaged?", c.Name, maxName)
		}
	}
	return nil
}

// SplitColumns returns the names in a list of columns: separated by commas, trimmed.
func SplitColumns(text string) []string {
	names := strings.Split(text, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
	}
	return names
}

// NameFault returns the fault in a metric's name, or "" if there is none.
func NameFault(name []byte) string {
	switch {
	case len(name) == 0:
		return "the row names no metric"
	case !utf8.Valid(name):
		return "the text is not valid UTF-8"
	}
	return nameFault(string(name))
}

// AmbiguousTime is the warning about a time that a zone's clocks showed twice.
const AmbiguousTime = "ambiguous_time: the clocks of the zone showed this time twice; the earlier one is taken"
