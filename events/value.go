package events

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Reason is the reason why a reading is absent. The zero Reason means that it is present.
type Reason uint8

// The reasons. Each has one word in answers (String). Their numbers are stored; never renumber.
const (
	Present       Reason = iota
	Blank                // an empty cell
	NotFound             // the source reports "not found"
	NotSupported         // the device does not provide it
	NotPermitted         // the reader lacks the permission
	Deprecated           // the source no longer provides it
	ReadError            // the read failed
	Lost                 // the GPU has fallen off the bus
	ResetRequired        // the GPU must be reset before it answers
	Implausible          // outside the metric's range: a corrupt read
	Ambiguous            // the unit cannot be determined
)

// reasons holds the words, by Reason. Read-only.
var reasons = [...]string{
	"present", "blank", "not_found", "not_supported", "not_permitted", "deprecated",
	"error", "lost", "reset_required", "implausible", "ambiguous",
}

// String returns the word of the reason, or its number for a reason of a later version.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}

// ParseReason parses the words of the reasons above.
func ParseReason(word string) (Reason, error) {
	i := slices.Index(reasons[:], word)
	if i < 0 {
		return 0, fmt.Errorf("parsing reason %.64q: it is one of %s", word, strings.Join(reasons[:], ", "))
	}
	return Reason(i), nil
}

// Value is the value of a reading: a number, or a reason for its absence with the source's text. An absent value is
// never a zero. Its Number is normalised.
type Value struct {
	Number Number
	Absent Reason
	Raw    string // the source's text if absent
}

// Compare orders values of one instant by their own content, so that ties never depend on arrival:
// an absent value is below every number; among numbers the one with more decimal places is greater (a
// source that rounds never hides one that does not), then the greater number; among absent values
// Reason, then Raw.
func (v Value) Compare(w Value) int {
	switch {
	case v.Absent == Present && w.Absent == Present:
		return cmp.Or(
			cmp.Compare(min(w.Number.Exponent, 0), min(v.Number.Exponent, 0)),
			v.Number.Compare(w.Number))
	case v.Absent == Present:
		return 1
	case w.Absent == Present:
		return -1
	}
	return cmp.Or(cmp.Compare(v.Absent, w.Absent), strings.Compare(v.Raw, w.Raw))
}
