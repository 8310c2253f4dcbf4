package projections

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"telemetry-pipeline/events"
)

var update = flag.Bool("update", false, "write what the cases in testdata give into them")

// TestCases folds the events of each file in testdata and compares the models with the file. A
// file has:
//
//	identities      name, then field=value (uuid, index, pci, device, model, mig, part, pod; any other is a label)
//	event <host> [<time of append>]
//	                records: time, identity, metric, value (or !reason:raw), and "as <source>" if that is another name
//
// in order, and then any of these, which the test writes itself with -update:
//
//	effects         for each event the Effect of Apply
//	live <host>, identity <host>, series <host>, gpu <id>
//	totals          of the GPUs of all hosts
//	entries <host> [newest] [limit=n] [metric=m] [gpu=g] [from=t] [to=t]
//
// All of them but effects must also come from the same events in any order, repeated.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := readCase(t, archive)
			w := newWorld(t, c)
			for _, ev := range c.events {
				w.apply(ev)
			}
			if *update {
				w.write(file, archive)
			}
			w.compare(archive, true)
			for seed := range uint64(5) {
				w := newWorld(t, c)
				for _, ev := range shuffled(rand.New(rand.NewPCG(seed, 20)), c.events) {
					w.apply(ev)
				}
				w.compare(archive, false)
			}
		})
	}
}

// shuffled repeats some events and puts all in random order.
func shuffled(rng *rand.Rand, evs []*events.Event) []*events.Event {
	all := slices.Clone(evs)
	for range len(evs) {
		all = append(all, evs[rng.IntN(len(evs))])
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// testCase is a file's input.
type testCase struct {
	identities map[string]*events.Identity
	appended   events.Timestamp // of the event that is read
	events     []*events.Event
}

func readCase(t *testing.T, a *txtar.Archive) testCase {
	t.Helper()
	c := testCase{identities: make(map[string]*events.Identity)}
	for _, f := range a.Files {
		what, host, _ := strings.Cut(f.Name, " ")
		host, appended, _ := strings.Cut(host, " ")
		c.appended = 0
		if what == "event" && appended != "" {
			var err error
			if c.appended, err = events.ParseTimestamp(appended); err != nil {
				t.Fatal(err)
			}
		}
		var records []record
		for line := range strings.Lines(string(f.Data)) {
			words := strings.Fields(line)
			switch {
			case len(words) == 0:
			case what == "identities":
				c.identities[words[0]] = readIdentity(words[1:])
			case what == "event":
				records = append(records, c.readRecord(t, words))
			}
		}
		if what == "event" {
			c.events = append(c.events, event(events.HostID(host), records))
		}
	}
	return c
}

func readIdentity(words []string) *events.Identity {
	id := &events.Identity{}
	fields := map[string]*string{
		"uuid": &id.UUID, "index": &id.Index, "pci": &id.PCI, "device": &id.Device, "model": &id.Model,
		"mig": &id.MIG, "part": &id.Part, "pod": &id.Pod, "driver": &id.Driver, "namespace": &id.Namespace,
	}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		if field, ok := fields[name]; ok {
			*field = value
		} else {
			id.Labels = append(id.Labels, events.Label{Name: name, Value: value})
		}
	}
	return id
}

func (c *testCase) readRecord(t *testing.T, words []string) record {
	t.Helper()
	if len(words) != 4 && len(words) != 6 {
		t.Fatalf("record %q: want time, identity, metric, value [as source]", words)
	}
	at, err := events.ParseTimestamp(words[0])
	if err != nil {
		t.Fatal(err)
	}
	id, ok := c.identities[words[1]]
	if !ok {
		t.Fatalf("identity %q is not in the file", words[1])
	}
	r := record{identity: id, metric: words[2], source: words[2], at: at, appended: c.appended}
	if len(words) == 6 {
		r.source = words[5]
	}
	if text, absent := strings.CutPrefix(words[3], "!"); absent {
		reason, raw, _ := strings.Cut(text, ":")
		r.value.Raw = raw
		r.value.Absent, err = events.ParseReason(reason)
	} else {
		r.value.Number, err = events.ParseNumber(words[3])
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// world is all hosts of a case with their history.
type world struct {
	*testing.T
	testCase
	hosts   map[events.HostID]*run
	effects strings.Builder
}

func newWorld(t *testing.T, c testCase) *world {
	return &world{T: t, testCase: c, hosts: make(map[events.HostID]*run)}
}

func (w *world) apply(ev *events.Event) {
	r, ok := w.hosts[ev.Host]
	if !ok {
		r = newRun(w.T, ev.Host)
		w.hosts[ev.Host] = r
	}
	effect := r.apply(ev)
	fmt.Fprintf(&w.effects, "%s live=%t identity=%t%s%s\n", ev.Host, effect.Live, effect.Identity,
		windowCounts("fresh", effect.Fresh), windowCounts("late", effect.Late))
}

func windowCounts(name string, windows map[Window]HostWindow) string {
	var b strings.Builder
	for _, w := range sortedWindows(windows) {
		s := windows[w]
		fmt.Fprintf(&b, " %s:%s=%d", name, w.Start().Time().Format("02T15"), s.Records())
	}
	return b.String()
}

func sortedWindows(windows map[Window]HostWindow) (list []Window) {
	for w := range windows {
		list = append(list, w)
	}
	slices.Sort(list)
	return list
}

// compare renders every output section of the file; effects only if asked.
func (w *world) compare(a *txtar.Archive, effects bool) {
	w.Helper()
	for _, f := range a.Files {
		if got, ok := w.render(f.Name); ok && (effects || f.Name != "effects") {
			if diff := gocmp.Diff(string(f.Data), got); diff != "" {
				w.Errorf("%s differs (-want +got):\n%s", f.Name, diff)
			}
		}
	}
}

func (w *world) write(file string, a *txtar.Archive) {
	for i, f := range a.Files {
		if got, ok := w.render(f.Name); ok {
			a.Files[i].Data = []byte(got)
		}
	}
	if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
		w.Fatal(err)
	}
}

// render writes one section; ok is false for input.
func (w *world) render(section string) (text string, ok bool) {
	words := strings.Fields(section)
	var b strings.Builder
	switch words[0] {
	case "effects":
		return w.effects.String(), true
	case "live":
		w.renderLive(&b, &w.host(words[1]).host)
	case "identity":
		w.renderIdentity(&b, &w.host(words[1]).host.Identity)
	case "series":
		w.renderSeries(&b, w.host(words[1]))
	case "gpu":
		w.renderGPU(&b, events.GPUID(words[1]))
	case "totals":
		w.renderTotals(&b)
	case "entries":
		w.renderEntries(&b, w.host(words[1]), words[2:])
	default:
		return "", false
	}
	return b.String(), true
}

func (w *world) host(name string) *run {
	w.Helper()
	r, ok := w.hosts[events.HostID(name)]
	if !ok {
		w.Fatalf("host %q has no events", name)
	}
	return r
}

// nameOf returns an identity's name in the file.
func (w *world) nameOf(id *events.Identity) string {
	for _, name := range slices.Sorted(maps.Keys(w.identities)) {
		if id != nil && w.identities[name].Compare(id) == 0 {
			return name
		}
	}
	return identityText(id)
}

// identityText renders an identity as it is written in a file.
func identityText(id *events.Identity) string {
	var words []string
	for f, text := range identityFields(id) {
		if *text != "" {
			words = append(words, fieldNames[f]+"="+*text)
		}
	}
	for _, l := range id.Labels {
		words = append(words, l.Name+"="+l.Value)
	}
	return strings.Join(words, " ")
}

var fieldNames = [...]string{"uuid", "index", "pci", "device", "model", "driver", "mig", "migprofile", "pod", "namespace", "container", "part"}

func entityText(e events.Entity) string {
	if e.Part == "" {
		return string(e.GPU)
	}
	return string(e.GPU) + "/" + e.Part
}

func readingText(metric, source string, v events.Value) string {
	text := metric + " "
	if v.Absent != events.Present {
		text += "!" + v.Absent.String() + ":" + v.Raw
	} else {
		text += v.Number.String()
	}
	if source != metric {
		text += " as " + source
	}
	return text
}

func renderLatest(b *strings.Builder, latest []Latest) {
	for _, l := range latest {
		fmt.Fprintf(b, "  %s %s\n", l.At, readingText(l.Metric, l.Source, l.Value))
	}
}

func (w *world) renderLive(b *strings.Builder, h *Host) {
	for _, e := range h.Live.Entities {
		fmt.Fprintf(b, "%s seen %s\n", entityText(e.Entity), e.SeenAt)
		for _, s := range e.Said {
			fmt.Fprintf(b, "  %s %s=%s\n", s.At, fieldNames[s.Field], s.Value)
		}
		if u := e.Workload; u != nil {
			id := events.Identity{Pod: u.Pod, Namespace: u.Namespace, Container: u.Container, Labels: u.Labels}
			fmt.Fprintf(b, "  %s %s by %s, current %t\n", u.At, identityText(&id), u.Metric, u.isCurrent(e.Latest))
		}
		renderLatest(b, e.Latest)
		for _, l := range e.Ahead {
			fmt.Fprintf(b, "  %s ahead %s\n", l.At, readingText(l.Metric, l.Source, l.Value))
		}
	}
}

func (w *world) renderIdentity(b *strings.Builder, id *Identity) {
	for _, k := range id.GPUs {
		fmt.Fprintf(b, "%q first seen %s\n", k.Name, k.FirstSeen)
		for _, r := range k.Runs {
			fmt.Fprintf(b, "  %s=%s from %s to %s\n", fieldNames[r.Field], r.Value, r.First, r.Last.Start())
		}
		for _, p := range k.Parts {
			fmt.Fprintf(b, "  %s first seen %s\n", p.Name, p.FirstSeen)
		}
		for _, s := range k.Listed {
			fmt.Fprintf(b, "  processes %s to %s\n", s.First.Start(), s.Last.Start())
		}
		for _, s := range k.Stated {
			fmt.Fprintf(b, "  workloads %s to %s\n", s.First.Start(), s.Last.Start())
		}
	}
	for _, s := range id.Windows {
		fmt.Fprintf(b, "windows %s to %s\n", s.First.Start(), s.Last.Start())
	}
}

func (w *world) renderSeries(b *strings.Builder, r *run) {
	for _, win := range sortedWindows(r.history) {
		fmt.Fprintf(b, "window %s\n", win.Start())
		var lines []string
		s := r.history[win]
		for _, c := range s.Columns {
			id := s.Find(c.Identity)
			for at, v := range c.All() {
				lines = append(lines, fmt.Sprintf("  %s %s %s\n", at, w.nameOf(id), readingText(c.Metric, c.Source, v)))
			}
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	}
}

// names returns the names of all hosts.
func (w *world) names() map[events.HostID]*Names {
	all, away := make(map[events.HostID]*Names), make(map[events.HostID]map[events.GPUID][]Span)
	hosts := make(map[events.GPUID][]Fragment)
	for id, r := range w.hosts {
		all[id], away[id] = r.host.Identity.Names(id), make(map[events.GPUID][]Span)
		for _, k := range r.host.Identity.GPUs {
			hosts[k.Name] = append(hosts[k.Name], Fragment{Host: &r.host, Names: all[id]})
		}
	}
	for gpu, some := range hosts {
		for id, spans := range Away(gpu, some) {
			away[id][gpu] = spans
		}
	}
	for id := range all {
		all[id] = all[id].WithAway(away[id])
	}
	return all
}

// gpus merges the GPUs of all hosts, by their id.
func (w *world) gpus() map[events.GPUID][]*GPU {
	fragments, names := make(map[events.GPUID][]Fragment), w.names()
	for _, r := range w.hosts {
		for gpu, f := range r.host.Fragments(names[r.host.ID]) {
			fragments[gpu] = append(fragments[gpu], f)
		}
	}
	merged := make(map[events.GPUID][]*GPU)
	for id, some := range fragments {
		merged[id] = MergeGPU(id, some)
	}
	return merged
}

func (w *world) renderGPU(b *strings.Builder, id events.GPUID) {
	for _, g := range w.gpus()[id] {
		fmt.Fprintf(b, "%s on %s of %v", g.ID, g.Host, g.Hosts)
		if len(g.Conflict) > 0 {
			fmt.Fprintf(b, ", also on %v", g.Conflict)
		}
		fmt.Fprintf(b, ", %s, seen %s to %s\n", identityText(&g.Identity), g.FirstSeen, g.LastSeen)
		renderLatest(b, g.Latest)
		for _, p := range g.Parts {
			fmt.Fprintf(b, "%s, %s, seen %s\n", p.Name, identityText(&p.Identity), p.LastSeen)
			renderLatest(b, p.Latest)
		}
		joined, oldest := g.Joined(0)
		fmt.Fprintf(b, "joined %d of %d, oldest %s\n", len(joined), len(g.Latest), oldest)
	}
}

func (w *world) renderTotals(b *strings.Builder) {
	var all []*GPU
	for _, some := range w.gpus() {
		all = append(all, some...)
	}
	t := Sum(all, func(h events.HostID) events.Timestamp { at, _ := w.host(string(h)).host.LastSeen(); return at }, 0)
	fmt.Fprintf(b, "%d GPUs", t.GPUs)
	if t.PowerWatts != nil {
		fmt.Fprintf(b, ", %g W", *t.PowerWatts)
	}
	b.WriteString("\n")
}

func (w *world) renderEntries(b *strings.Builder, r *run, options []string) {
	f, names := w.readFilter(options), w.names()[r.host.ID]
	for _, win := range sortedWindows(r.history) {
		s := r.history[win]
		s = r.host.Resolve(names, &s)
		for _, e := range Entries(r.host.ID, &s, f) {
			fmt.Fprintf(b, "%s %s as %s\n", e.At, entityText(e.Entity), identityText(e.Identity))
			for _, reading := range e.Readings {
				fmt.Fprintf(b, "  %s\n", readingText(reading.Metric(), reading.Source(), reading.Value()))
			}
		}
	}
}

func (w *world) readFilter(options []string) (f EntryFilter) {
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		var err error
		switch name {
		case "newest":
			f.Newest = true
		case "limit":
			f.Limit, err = strconv.Atoi(value)
		case "metric":
			f.Metrics = append(f.Metrics, value)
		case "gpu":
			f.GPUs = append(f.GPUs, events.GPUID(value))
		case "from":
			f.From, err = events.ParseTimestamp(value)
		case "to":
			f.To, err = events.ParseTimestamp(value)
		default:
			w.Fatalf("unknown option %q", o)
		}
		if err != nil {
			w.Fatal(err)
		}
	}
	return f
}
