package graph

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
)

// TestPreparedListsEqualTheLibrary executes random documents twice: with prepared lists, and by the library alone. The answers
// are the same bytes.
func TestPreparedListsEqualTheLibrary(t *testing.T) {
	w := newWorldOf(t, preparedFleet(t))
	r := rand.New(rand.NewPCG(11, 5))
	valid, prepared, left, failed := 0, 0, 0, 0
	for range 1200 {
		g := &documents{rand: r, schema: &w.engine.schema, variables: map[string]bool{}}
		req := g.newRequest()
		feed, err := w.engine.feedFor(everybody(t))
		if err != nil {
			t.Fatal(err)
		}
		whole, plain := w.engine.newView(feed.State()), w.engine.newView(feed.State())
		plain.state, plain.now, plain.prepared = whole.state, whole.now, nil
		doc, _, err := w.engine.guard.admitRequest(req, sizes{hosts: 3, gpus: 9})
		if err != nil {
			continue // such as two fields of one name that differ
		}
		valid++
		ctx := everybody(t)
		if strings.HasPrefix(req.Query, "subscription") {
			message := &live.Message{Kind: live.Update}
			for _, gpu := range whole.state.GPUs() {
				message.Items = append(message.Items, live.Item{GPU: gpu.ID, Host: gpu.Host, At: gpu.LastSeen, Readings: gpu.Latest})
			}
			ctx = context.WithValue(ctx, stepKey{}, &step{update: updateOf(message)})
		}
		gotResult, wantResult := w.engine.run(ctx, whole, doc, req), w.engine.run(ctx, plain, doc, req)
		if gotResult.HasErrors() && wantResult.HasErrors() { // of several the library reports any one
			gotResult.Errors, wantResult.Errors = nil, nil
			failed++
		}
		got := w.engine.encodeResult(gotResult)
		if want := w.engine.encodeResult(wantResult); string(got) != string(want) {
			t.Fatalf("%s\nvariables %v\nanswer\n%s\nwant\n%s", req.Query, req.Variables, got, want)
		}
		if n := len(whole.prepared.lists); n > 0 {
			prepared++
		} else if strings.Contains(string(got), "[{") {
			left++
		}
	}
	if valid < 400 || prepared < 250 || left < 8 || failed < 4 {
		t.Errorf("of %d valid documents %d had prepared lists, %d lists for the library alone, %d errors; want more of each", valid, prepared, left, failed)
	}
}

// preparedFleet returns events of GPUs with parts, absent readings, unusual text, and one UUID on two hosts.
func preparedFleet(t *testing.T) []events.Event {
	t.Helper()
	second := events.Timestamp(time.Second)
	a0 := &events.Identity{UUID: "GPU-a0", Index: "0", Model: "NVIDIA <H100> \"80GB\" & é\u2028", Driver: "535", Labels: []events.Label{{Name: "b<", Value: "é"}, {Name: "job", Value: ""}}}
	mig := &events.Identity{UUID: "GPU-a0", Index: "0", Part: "mig:1", MIG: "1"}
	a1, b0, both := &events.Identity{UUID: "GPU-a1", Index: "1"}, &events.Identity{Index: "0"}, &events.Identity{UUID: "GPU-both", Index: "3"}
	return []events.Event{
		newEvent(t, "a",
			newReading(a0, "DCGM_FI_DEV_GPU_UTIL", "87", start), newReading(a0, "DCGM_FI_DEV_POWER_USAGE", "66.781", start+second),
			newReading(a0, "DCGM_FI_DEV_MEMORY_TEMP", "[N/A]", start), newReading(mig, "DCGM_FI_DEV_GPU_UTIL", "3", start), newReading(mig, "x<y>&é", "1e300", start),
			newReading(a1, "DCGM_FI_DEV_GPU_UTIL", "0", start), newReading(both, "DCGM_FI_DEV_GPU_UTIL", "1", start)),
		newEvent(t, "b", newReading(b0, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "9007199254740993", start), newReading(both, "DCGM_FI_DEV_GPU_UTIL", "2", start+1)),
		newEvent(t, "c:1", newReading(&events.Identity{Index: "7", PCI: "00000000:07:00.0"}, "DCGM_FI_DEV_GPU_TEMP", "-0.5", start)),
	}
}

// documents generates documents over a schema.
type documents struct {
	rand      *rand.Rand
	schema    *graphql.Schema
	fragments []string
	variables map[string]bool // definitions of those in use
}

func (g *documents) newRequest() Request {
	kind, set := "query", ""
	if g.rand.IntN(8) == 0 {
		kind, set = "subscription", "{gpuMetrics"+g.selectionSet(g.schema.Type("GPUMetricsUpdate").(*graphql.Object), 4)+"}"
	} else {
		set = g.selectionSet(g.schema.QueryType(), 5)
	}
	req := Request{Variables: map[string]any{"yes": g.rand.IntN(2) == 0}}
	if len(g.variables) > 0 {
		kind += " (" + strings.Join(slices.Sorted(maps.Keys(g.variables)), ", ") + ")"
	}
	req.Query = kind + " " + set + strings.Join(g.fragments, "")
	return req
}

// selectionSet returns a set of some fields of a type, each maybe in a fragment, under an alias, or with a directive.
func (g *documents) selectionSet(of *graphql.Object, depth int) string {
	var names []string
	for name, def := range of.Fields() {
		if _, isLeaf := graphql.GetNamed(def.Type).(*graphql.Object); !isLeaf || depth > 1 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("{__typename")
	for range 1 + g.rand.IntN(5) {
		name := names[g.rand.IntN(len(names))]
		text := " " + g.field(of, name, depth)
		switch g.rand.IntN(12) {
		case 0:
			text = " ... on " + of.Name() + g.directive() + " {" + text + "}"
		case 1:
			text = " ... " + g.directive() + " {" + text + "}"
		case 2:
			fragment := fmt.Sprintf("F%d", len(g.fragments))
			g.fragments = append(g.fragments, "\nfragment "+fragment+" on "+of.Name()+" {"+text+"}")
			text = " ..." + fragment + g.directive()
		}
		b.WriteString(text)
	}
	return b.String() + "}"
}

func (g *documents) field(of *graphql.Object, name string, depth int) string {
	def := of.Fields()[name]
	args := map[string]string{"host": `(name: "a")`, "gpu": `(id: "a:0")`, "telemetry": `(limit: 3)`}[name]
	if _, isList := def.Type.(*graphql.NonNull); isList && g.rand.IntN(6) == 0 && (name == "gpus" || name == "hosts") && of.Name() != "GPUMetricsUpdate" {
		args = fmt.Sprintf("(limit: %d)", g.rand.IntN(3)) // 0 is an error
		if of.Name() == "Query" && g.rand.IntN(2) == 0 {
			args = fmt.Sprintf("(asOf: %q)", start+events.Timestamp(g.rand.IntN(3)-1))
		}
	}
	text := name + args + g.directive()
	if g.rand.IntN(4) == 0 {
		text = fmt.Sprintf("z%d_%s: %s", g.rand.IntN(2), name, text)
	}
	if object, ok := graphql.GetNamed(def.Type).(*graphql.Object); ok {
		text += g.selectionSet(object, depth-1)
	}
	return text
}

func (g *documents) directive() string {
	switch g.rand.IntN(16) {
	case 0:
		return []string{" @skip(if: true)", " @include(if: true)", " @skip(if: false) @include(if: true)"}[g.rand.IntN(3)]
	case 1:
		if g.rand.IntN(3) == 0 {
			g.variables["$no: Boolean = false"] = true
			return " @include(if: $no)"
		}
		g.variables["$yes: Boolean!"] = true
		return []string{" @skip(if: $yes)", " @include(if: $yes)"}[g.rand.IntN(2)]
	}
	return ""
}

// A list with an error in one of its objects, or a null that is not allowed, is completed by the library, with its errors.
func TestListsWithErrorsAreTheLibrarys(t *testing.T) {
	boom := &inputError{"boom"}
	object := graphql.NewObject(graphql.ObjectConfig{Name: "Thing", Fields: graphql.Fields{
		"value": {Type: nonNull(graphql.Int), Resolve: func(p graphql.ResolveParams) (any, error) {
			switch n := p.Source.(int); n {
			case 1:
				return nil, boom
			case 2:
				return nil, nil
			default:
				return n, nil
			}
		}},
	}})
	for list, want := range map[string]bool{"0 3": true, "0 1": false, "2": false} {
		var items []int
		for _, word := range strings.Fields(list) {
			items = append(items, int(word[0]-'0'))
		}
		root := view{pastViews: &pastViews{}, prepared: &preparedLists{}}
		name := &ast.Field{Name: &ast.Name{Value: "value"}}
		p := graphql.ResolveParams{Context: t.Context(), Info: graphql.ResolveInfo{RootValue: root, FieldASTs: []*ast.Field{
			{Name: &ast.Name{Value: "things"}, SelectionSet: &ast.SelectionSet{Selections: []ast.Selection{name}}}}}}
		got, err := prepareList(object, func(graphql.ResolveParams) (any, error) { return items, nil })(p)
		if err != nil {
			t.Fatal(err)
		}
		if isPrepared := len(root.prepared.lists) == 1; isPrepared != want {
			t.Errorf("list of %s is prepared: %v, want %v", list, isPrepared, want)
		}
		if left, ok := got.([]int); !want && (!ok || len(left) != len(items)) {
			t.Errorf("list of %s: the library receives %v, want the list", list, got)
		}
	}
}
