package archive

import (
	"cmp"
	"fmt"
	"slices"
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
		for row := base; len(indexes) > 0; {
			index, n := indexes[0], equalFromStart(indexes)
			if index < 0 || int(index) >= len(numbers) {
				return fmt.Errorf("index %d of a dictionary of %d", index, len(numbers))
			}
			c.appendChange(row, numbers[index])
			row, indexes = row+int32(n), indexes[n:]
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

// equalFromStart returns how many values at the start equal the first one. Eight are compared at a time: most columns change once in
// some thousand rows.
func equalFromStart(values []int32) int {
	first, n := values[0], 1
	for n+8 <= len(values) {
		v := (*[8]int32)(values[n:])
		if (v[0]^first)|(v[1]^first)|(v[2]^first)|(v[3]^first)|(v[4]^first)|(v[5]^first)|(v[6]^first)|(v[7]^first) != 0 {
			break
		}
		n += 8
	}
	for n < len(values) && values[n] == first {
		n++
	}
	return n
}

// within returns the changes of the rows [lo, hi), of which there is at least one; the first begins at lo.
func (c changes) within(lo, hi int32) changes {
	at, found := slices.BinarySearchFunc(c, lo, func(one change, row int32) int { return cmp.Compare(one.row, row) })
	if !found {
		at--
	}
	end := at + 1
	for end < len(c) && c[end].row < hi {
		end++
	}
	return c[at:end]
}
