package events

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Check returns an error if an invariant of the event is violated. Events of a Cutter, and events of the log without
// Damage, satisfy all invariants.
func (e *Event) Check() error {
	if err := e.checkContent(); err != nil {
		return fmt.Errorf("checking event of host %.64q: %w", e.Host, err)
	}
	return nil
}

func (e *Event) checkContent() error {
	switch {
	case e.Host == "":
		return errors.New("no host")
	case len(e.Columns) == 0:
		return errors.New("no records")
	}
	for i := range e.Identities {
		if i > 0 && e.Identities[i-1].Compare(&e.Identities[i]) >= 0 {
			return fmt.Errorf("identity %d is out of order", i)
		}
		if !slices.IsSortedFunc(e.Identities[i].Labels, Label.compareTo) {
			return fmt.Errorf("labels of identity %d are out of order", i)
		}
	}
	return e.checkColumns()
}

func (e *Event) checkColumns() error {
	next := 0 // the first identity without a column so far
	for i := range e.Columns {
		c := &e.Columns[i]
		switch {
		case i > 0 && e.Columns[i-1].compareTo(c) >= 0:
			return fmt.Errorf("column %d is out of order", i)
		case c.Identity < 0 || c.Identity >= len(e.Identities) || c.Identity > next:
			return fmt.Errorf("column %d has identity %d of %d", i, c.Identity, len(e.Identities))
		case c.Len() == 0:
			return fmt.Errorf("column %d has no records", i)
		}
		if err := c.Check(); err != nil {
			return fmt.Errorf("column %d (%.64s): %w", i, c.Metric, err)
		}
		next = c.Identity + 1
	}
	if next != len(e.Identities) {
		return errors.New("an identity has no records")
	}
	return nil
}

// compareTo orders the columns of one event.
func (c *Column) compareTo(d *Column) int {
	return cmp.Or(
		cmp.Compare(c.Identity, d.Identity),
		strings.Compare(c.Metric, d.Metric),
		strings.Compare(c.Source, d.Source))
}
