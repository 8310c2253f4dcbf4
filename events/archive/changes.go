package archive

import (
	"fmt"
)

// textTable numbers the texts of an object, so that rows are compared by numbers. The empty text is number 0.
type textTable struct {
	all    []string
	number map[string]int32
}

func newTextTable() *textTable { return &textTable{all: []string{""}, number: map[string]int32{"": 0}} }

func (t *textTable) numberOf(text []byte) int32 {
	n, known := t.number[string(text)]
	if !known {
		n = int32(len(t.all))
		t.all = append(t.all, string(text))
		t.number[string(text)] = n
	}
	return n
}

// change is the first row of a column with a value other than the previous row's.
type change struct{ row, value int32 }

// changes is a run-length encoded column: the rows where its value changes.
type changes []change

func (c *changes) appendChange(row, value int32) {
	if n := len(*c); n == 0 || (*c)[n-1].value != value {
		*c = append(*c, change{row, value})
	}
}

// sinceRow returns c without the changes that a later one supersedes at row: its first element holds the row's value.
func (c changes) sinceRow(row int32) changes {
	for len(c) > 1 && c[1].row <= row {
		c = c[1:]
	}
	return c
}

// addPage appends a page that begins at row base. numbers are the numbers of the values in the column's dictionary.
func (c *changes) addPage(p page, numbers []int32, base int32) error {
	data := p.Data()
	indexes := data.Int32()
	switch rows := p.NumRows(); {
	case len(indexes) == 0 && rows > 0:
		c.appendChange(base, 0)
	case int64(len(indexes)) == rows:
		last := int32(-1)
		for i, index := range indexes {
			if index == last {
				continue
			}
			if index < 0 || int(index) >= len(numbers) {
				return fmt.Errorf("index %d of a dictionary of %d", index, len(numbers))
			}
			c.appendChange(base+int32(i), numbers[index])
			last = index
		}
	default:
		for i, level := range p.DefinitionLevels() {
			if level == 0 {
				c.appendChange(base+int32(i), 0)
				continue
			}
			if len(indexes) == 0 || indexes[0] < 0 || int(indexes[0]) >= len(numbers) {
				return fmt.Errorf("row %d has no text in a dictionary of %d", i, len(numbers))
			}
			c.appendChange(base+int32(i), numbers[indexes[0]])
			indexes = indexes[1:]
		}
	}
	return nil
}
