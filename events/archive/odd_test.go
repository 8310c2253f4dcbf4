package archive

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"telemetry-pipeline/events"
)

// oddTexts are texts from sources that tools get wrong.
var oddTexts = []string{
	"", "a", "NVIDIA H100 80GB HBM3", "ünï", `quote " and \ back`, "comma, brace {}", "new\nline", "nul\x00", "\xff\xfebytes", "half \xe2\x82", "\uFFFD",
	"\uFFFD\uFFFDff", "ff\uFFFD", "<&>", "\u2028", "null", "日本", string(make([]byte, 300)),
}

var oddNumbers = []events.Number{
	{}, events.Int(1), events.Int(-1), events.NumberOf(66781, -3), events.NumberOf(6678, -2), events.NumberOf(1, -1), events.Int(math.MaxInt64), events.Int(math.MinInt64 + 1),
	events.Int(1<<53 + 1), events.NumberOf(1, 300), events.NumberOf(-7, 400), events.NumberOf(3, -400), events.NumberOf(123456789012345678, -18), events.NumberOf(5, 22),
	events.NumberOf(5, 23), events.NumberOf(12345678901234567, -2), {Mantissa: 1, Exponent: math.MaxInt16}, {Mantissa: 1, Exponent: math.MinInt16}, events.NumberOf(1, -22), events.NumberOf(1, -23),
}

func pickOne[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

func oddIdentity(r *rand.Rand) *events.Identity {
	id := &events.Identity{Index: fmt.Sprint(r.IntN(3))}
	switch r.IntN(4) {
	case 0:
		id.UUID = "GPU-5fd4f087-86f3-7a43-b711-4771313afc5" + fmt.Sprint(r.IntN(3))
	case 1:
		id.Index = ""
	}
	id.Part = pickOne(r, []string{"", "", "mig:1", "pid:4711", "nvlink:3", "\xff"})
	for _, field := range []*string{&id.PCI, &id.Device, &id.Model, &id.Driver, &id.MIG, &id.MIGProfile, &id.Pod, &id.Namespace, &id.Container} {
		if r.IntN(8) == 0 {
			*field = pickOne(r, oddTexts)
		}
	}
	name := 0
	for range r.IntN(3) {
		name += r.IntN(2) // a name may come twice
		id.Labels = append(id.Labels, events.Label{Name: fmt.Sprintf("label%d%s", name, "\xff\"\uFFFD"[:name%3]), Value: "0"})
	}
	if len(id.Labels) > 0 {
		id.Labels[len(id.Labels)-1].Value = "9" + pickOne(r, oddTexts)
	}
	return id
}

func oddValue(r *rand.Rand) events.Value {
	switch r.IntN(6) {
	case 0:
		return events.Value{Absent: pickOne(r, []events.Reason{events.Blank, events.NotSupported, events.Implausible, 77, 255}), Raw: pickOne(r, oddTexts)}
	case 1:
		return events.Value{Number: pickOne(r, oddNumbers)}
	case 2:
		return events.Value{Number: events.NumberOf(r.Int64(), int16(r.IntN(40)-20))}
	}
	return events.Value{Number: events.NumberOf(r.Int64N(100_000), -int16(r.IntN(4)))}
}

// oddEvents returns events with everything that is rare, some damaged, in revision order.
func oddEvents(r *rand.Rand, n int) (all []events.Event) {
	cutter := events.NewCutter(events.CutRules{EventRecords: 1 + r.IntN(30)}, events.UploadID(pickOne(r, oddTexts)), pickOne(r, []string{"", "Europe/Berlin"}))
	identities := []*events.Identity{oddIdentity(r), oddIdentity(r), oddIdentity(r), {}}
	revision := fleetLog
	for len(all) < n {
		if revision.Number += int64(r.IntN(3)); revision.Number == 0 {
			revision.Number = 1
		}
		if r.IntN(60) == 0 {
			all = append(all, damagedEvent(r, revision, len(all)))
			continue
		}
		host := events.HostID(pickOne(r, []string{"h1", "h2", "host \xff", "h\uFFFD"}))
		var records []events.Record
		for range 1 + r.IntN(4) {
			at := fleetStart + events.Timestamp(r.Int64N(50))*1e9
			if r.IntN(9) == 0 {
				at = events.Timestamp(r.Int64N(4)-2) * 1_000_000_007
			}
			records = append(records, events.Record{
				Identity: pickOne(r, identities), Metric: pickOne(r, []string{"M1", "M2", "mé"}), Source: pickOne(r, []string{"", "M1", "power.draw [W]"}),
				At: at, Value: oddValue(r), Text: []byte("x"),
			})
		}
		for _, ev := range cutter.Row(host, 10, records) {
			ev.Revision = revision
			ev.Key = fmt.Sprintf("k%09d", len(all))
			if r.IntN(2) == 0 {
				ev.AppendedAt = fleetStart + events.Timestamp(len(all))
				ev.Key += "_" + ev.Sequence.String()
			}
			all = append(all, ev)
		}
	}
	return all
}

// damagedEvent is one that the log could not use.
func damagedEvent(r *rand.Rand, revision events.Revision, place int) events.Event {
	ev := events.Event{Revision: revision, Key: fmt.Sprintf("k%09d", place), Host: events.HostID(pickOne(r, []string{"", "h1"}))}
	switch r.IntN(3) {
	case 0:
		ev.Damage = &events.DamageError{Value: []byte{1, 2, 0xff}, Cause: fmt.Errorf("%w (at 7)", events.ErrOverwritten)}
	case 1:
		ev.Damage = &events.DamageError{Value: []byte{0xee, 1}, Cause: fmt.Errorf("decoding event: %w", &events.UnknownEncodingError{Tag: 0xee})}
	default:
		ev.Damage = &events.DamageError{Cause: errors.New("nonsense \xff")}
	}
	return ev
}

// sameDamage reports whether two damages have equal texts, values and causes.
func sameDamage(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, foundX := errors.AsType[*events.DamageError](a)
	y, foundY := errors.AsType[*events.DamageError](b)
	_, unknownA := errors.AsType[*events.UnknownEncodingError](a)
	_, unknownB := errors.AsType[*events.UnknownEncodingError](b)
	return foundX && foundY && a.Error() == b.Error() && string(x.Value) == string(y.Value) &&
		errors.Is(a, events.ErrOverwritten) == errors.Is(b, events.ErrOverwritten) && unknownA == unknownB
}

func TestOddEventsAreOdd(t *testing.T) {
	all := oddEvents(rand.New(rand.NewPCG(1, 1)), 500)
	damaged := 0
	for i := range all {
		if all[i].Damage != nil {
			damaged++
		} else if err := all[i].Check(); err != nil {
			t.Fatal(err)
		}
	}
	if damaged < 10 || damaged > 250 {
		t.Errorf("got %d damaged events of 500", damaged)
	}
}
