package events

// Reason says why a reading is absent. The zero Reason means that it is present.
type Reason uint8

// The reasons, one word each in answers (String). Their numbers are stored; never renumber.
const (
	Present       Reason = iota
	Blank                // nothing there
	NotFound             // the source says "not found"
	NotSupported         // the device cannot tell
	NotPermitted         // the reader may not ask
	Deprecated           // the source no longer tells
	ReadError            // the read failed
	Lost                 // the GPU fell off the bus
	ResetRequired        // the GPU wants a reset before it answers
	Implausible          // outside the metric's range: a corrupt read
	Ambiguous            // the unit cannot be known
)

// Value is what a reading says: a number, or a reason for having none together with the text the
// source gave instead. An absent value is never a zero.
type Value struct {
	Number Number
	Absent Reason
	Raw    string // the source's text when absent
}

// Compare orders values of one instant by their own content, so that ties never depend on arrival:
// an absent value is below every number; among numbers the finer one (smaller Exponent) is greater,
// then the greater number; among absent values Reason, then Raw.
func (v Value) Compare(w Value) int { panic("contract") }
