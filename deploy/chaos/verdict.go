package main

import "fmt"

// verdict is the result for one promise.
type verdict struct {
	promise string
	how     string   // the number and kind of comparisons
	checked int      // how many things were looked at
	failed  int      // how many of them broke the promise
	broken  []string // the first of those
}

// maxEvidence is how many broken things are shown.
const maxEvidence = 8

// addFailure notes something that breaks the promise.
func (v *verdict) addFailure(format string, args ...any) {
	if v.failed++; len(v.broken) < maxEvidence {
		v.broken = append(v.broken, fmt.Sprintf(format, args...))
	}
}

// addVerdicts adds the comparisons of other verdicts to this one.
func (v *verdict) addVerdicts(others []verdict) {
	for _, o := range others {
		v.checked += o.checked
		v.failed += o.failed
		v.broken = append(v.broken, o.broken[:min(len(o.broken), maxEvidence-min(maxEvidence, len(v.broken)))]...)
	}
}

// ok reports whether the promise held. A promise without an observation did not.
func (v *verdict) ok() bool { return v.failed == 0 && v.checked > 0 }
