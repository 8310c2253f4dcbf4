package projections

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"telemetry-pipeline/events"
)

// Identity holds the GPUs of a host, which names they had when, and the windows of its history. It changes rarely, and
// is written only then. Its slices are never changed in place (see Host). Implausible readings count for nothing here,
// as in the other models.
type Identity struct {
	GPUs    []KnownGPU    // sorted by name
	Windows []WindowRange // windows that hold records of the host: disjoint, ascending, not adjacent
	Joined  Joined
}

// Joined says that a host is joined to another one, its node: its records up to an instant are the node's, and count for
// nothing here. Node is "" for a host that is not.
type Joined struct {
	Node events.HostID
	At   events.Timestamp
}

// KnownGPU is a GPU, or the host itself (""), under the name that its records give it: its UUID, else "host:index", else
// "host:pci-address" (events.Identity.Entity). Names resolves a name to the GPU that had it.
type KnownGPU struct {
	Name      events.GPUID
	FirstSeen events.Timestamp
	Windows   []WindowRange // windows that hold records of it or its parts
	Runs      []Run         // sorted by field, value, first time
	Parts     []KnownPart   // sorted by name, without processes
	Listed    []WindowRange // windows that hold records of its processes
	Stated    []WindowRange // windows in which a record of it or its parts named a workload
}

// Run is a run of windows in each of which a record gave a field of a GPU a value.
type Run struct {
	Field Field
	Value string
	First events.Timestamp // of the first record in the first window
	Last  Window
}

// KnownPart is a part of a GPU, or with the name "" the GPU itself, and its earliest record time.
type KnownPart struct {
	Name      string
	FirstSeen events.Timestamp
}

// WindowRange is a run of windows, both ends included.
type WindowRange struct{ First, Last Window }

// Find returns the GPU of a name; false when the host has none.
func (id *Identity) Find(name events.GPUID) (*KnownGPU, bool) {
	i, ok := findKnown(id.GPUs, name)
	if !ok {
		return nil, false
	}
	return &id.GPUs[i], true
}

func findKnown(gpus []KnownGPU, name events.GPUID) (int, bool) {
	return sort.Find(len(gpus), func(i int) int { return strings.Compare(string(name), string(gpus[i].Name)) })
}

// Holds reports whether a window holds records of the host.
func (id *Identity) Holds(w Window) bool { return holds(id.Windows, w) }

func holds(spans []WindowRange, w Window) bool {
	_, found := findWindow(spans, w)
	return found
}

// hasPart reports whether the GPU had a record of a part, which is no process.
func (k *KnownGPU) hasPart(name string) bool {
	_, found := slices.BinarySearchFunc(k.Parts, name, func(p KnownPart, name string) int { return strings.Compare(p.Name, name) })
	return found
}

// uuid returns the GPU's UUID, "" when no record had one.
func (k *KnownGPU) uuid() string {
	if len(k.Runs) == 0 || k.Runs[0].Field != FieldUUID {
		return ""
	}
	return k.Runs[0].Value
}

// hasFields reports whether every field that an identity sets of its GPU had that value before.
func (k *KnownGPU) hasFields(id *events.Identity) bool {
	all := true
	EachGPUField(id, func(f Field, text string) {
		i, _ := slices.BinarySearchFunc(k.Runs, Run{Field: f, Value: text}, compareRunValue)
		all = all && i < len(k.Runs) && k.Runs[i].Field == f && k.Runs[i].Value == text
	})
	return all
}

// hasFewerValues reports whether all fields together had fewer values than a number. A value that comes again counts once.
func (k *KnownGPU) hasFewerValues(than int) bool {
	n := len(k.Runs)
	for i := 1; i < len(k.Runs) && n >= than; i++ {
		if compareRunValue(k.Runs[i-1], k.Runs[i]) == 0 {
			n--
		}
	}
	return n < than
}

// FieldsAt returns the value of each field at an instant, with the first time of the run that it is from: the value that a
// record of the same window said, else the last one before. Of several the one whose run is the youngest.
func (k *KnownGPU) FieldsAt(at events.Timestamp) []Said {
	var said []Said
	for runs := k.Runs; len(runs) > 0; {
		n := 1
		for n < len(runs) && runs[n].Field == runs[0].Field {
			n++
		}
		if r := runAt(runs[:n], at); r != nil {
			said = append(said, Said{Field: r.Field, Value: r.Value, At: r.First})
		}
		runs = runs[n:]
	}
	return said
}

// runAt returns the run that holds at an instant, nil when all begin later.
func runAt(runs []Run, at events.Timestamp) *Run {
	w := WindowOf(at)
	var best *Run
	for i := range runs {
		r := &runs[i]
		if r.First <= at && (best == nil || cmp.Or(cmp.Compare(min(r.Last, w), min(best.Last, w)), cmp.Compare(r.First, best.First)) > 0) {
			best = r
		}
	}
	return best
}

// addRun adds the evidence that a record of a window, the first of it at an instant, gave a field a value. The argument
// is not changed; changed is false when it was known.
func addRun(runs []Run, f Field, value string, first events.Timestamp) (all []Run, changed bool) {
	w := WindowOf(first)
	from, _ := slices.BinarySearchFunc(runs, Run{Field: f, Value: value}, compareRunValue)
	end := from
	for end < len(runs) && runs[end].Field == f && runs[end].Value == value {
		end++
	}
	i := from // the first run that is not wholly before w, nor touches it from before
	for i < end && runs[i].Last+1 < w {
		i++
	}
	switch {
	case i == end || WindowOf(runs[i].First) > w+1:
		return slices.Insert(slices.Clone(runs), i, Run{Field: f, Value: value, First: first, Last: w}), true
	case runs[i].Last >= w && WindowOf(runs[i].First) <= w && runs[i].First <= first:
		return runs, false
	}
	all = slices.Clone(runs)
	all[i].First = min(all[i].First, first)
	all[i].Last = max(all[i].Last, w)
	if i+1 < end && WindowOf(all[i+1].First) <= all[i].Last+1 {
		all[i].Last = max(all[i].Last, all[i+1].Last)
		all = slices.Delete(all, i+1, i+2)
	}
	return all, true
}

func compareRunValue(a, b Run) int {
	if a.Field != b.Field {
		return int(a.Field) - int(b.Field)
	}
	return strings.Compare(a.Value, b.Value)
}

func compareRun(a, b *Run) int {
	return cmp.Or(compareRunValue(*a, *b), cmp.Compare(a.First, b.First))
}
