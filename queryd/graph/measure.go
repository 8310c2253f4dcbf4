package graph

import (
	"strconv"

	"github.com/graphql-go/graphql/language/ast"
)

// sizes are how many objects the lists have that a document may ask for without a limit.
type sizes struct{ hosts, gpus int }

// defaultPage is the limit of telemetry when none is given.
const defaultPage = 100

// measure bounds what an operation would do: its depth, the selections after expansion of fragments,
// and its cost. It stops as soon as a limit is passed, since expansion can be exponential.
func (g *guard) measure(doc *ast.Document, op *ast.OperationDefinition, variables map[string]any, sizes sizes) error {
	if op.Operation == ast.OperationTypeSubscription {
		if err := oneRootField(op); err != nil {
			return err
		}
	}
	w := walker{guard: g, fragments: map[string]*ast.SelectionSet{}, op: op, variables: variables, sizes: sizes}
	for _, def := range doc.Definitions {
		if f, ok := def.(*ast.FragmentDefinition); ok {
			w.fragments[f.Name.Value] = f.SelectionSet
		}
	}
	return w.walk(op.SelectionSet, place{depth: 1, times: 1, maxDepth: g.limits.depth})
}

// countFields refuses a document that writes more fields than an operation may select, wherever they
// stand: validation compares all of a set with each other, used or not.
func (g *guard) countFields(doc *ast.Document) error {
	total := 0
	for _, def := range doc.Definitions {
		owner, ok := def.(interface{ GetSelectionSet() *ast.SelectionSet })
		if !ok {
			continue
		}
		if total += fieldsIn(owner.GetSelectionSet()); total > g.limits.selections {
			return excess("the document has more than %d fields", g.limits.selections)
		}
	}
	return nil
}

func fieldsIn(set *ast.SelectionSet) int {
	if set == nil {
		return 0
	}
	n := len(set.Selections)
	for _, selection := range set.Selections {
		n += fieldsIn(selection.GetSelectionSet())
	}
	return n
}

// oneRootField holds a subscription to the specification's rule: a single root field. The library does
// not check it, and fails on a skipped one.
func oneRootField(op *ast.OperationDefinition) error {
	if len(op.SelectionSet.Selections) != 1 {
		return refuse("a subscription takes exactly one root field")
	}
	field, ok := op.SelectionSet.Selections[0].(*ast.Field)
	if !ok || len(field.Directives) > 0 {
		return refuse("a subscription's root is one field, without fragments and directives")
	}
	return nil
}

// walker visits every selection of an operation, fragments expanded.
type walker struct {
	*guard
	fragments  map[string]*ast.SelectionSet
	op         *ast.OperationDefinition
	variables  map[string]any
	sizes      sizes
	selections int
	cost       int
}

// place is where in the operation a selection set stands: how deep, below which field, and how many
// objects it is evaluated for.
type place struct {
	depth, maxDepth int
	times           int
	parent          string
}

func (w *walker) walk(set *ast.SelectionSet, at place) error {
	if set == nil {
		return nil
	}
	if at.depth > at.maxDepth {
		return excess("fields nest more than %d deep", at.maxDepth)
	}
	for _, selection := range set.Selections {
		if w.selections++; w.selections > w.limits.selections {
			return excess("the operation selects more than %d fields", w.limits.selections)
		}
		if err := w.visit(selection, at); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) visit(selection ast.Selection, at place) error {
	switch s := selection.(type) {
	case *ast.InlineFragment:
		return w.walk(s.SelectionSet, at)
	case *ast.FragmentSpread:
		return w.walk(w.fragments[s.Name.Value], at)
	case *ast.Field:
		return w.visitField(s, at)
	}
	return nil
}

func (w *walker) visitField(f *ast.Field, at place) error {
	name := f.Name.Value
	if name == "__schema" || name == "__type" {
		if !w.introspection {
			return refuse("introspection is switched off here")
		}
		at.maxDepth = introspectionDepth
	}
	if f.SelectionSet == nil {
		return nil
	}
	below := place{depth: at.depth + 1, maxDepth: at.maxDepth, parent: name, times: at.times * w.count(f, at.parent)}
	if w.cost += below.times; below.times > w.limits.cost || w.cost > w.limits.cost {
		return excess("the operation asks for more than %d objects: give its lists a smaller limit", w.limits.cost)
	}
	return w.walk(f.SelectionSet, below)
}

// count is how many objects a field may give: its limit, or what its list has now.
func (w *walker) count(f *ast.Field, parent string) int {
	size := 1
	switch name := f.Name.Value; {
	case name == "hosts":
		size = w.sizes.hosts
	case name == "gpus" && (parent == "hosts" || parent == "host"):
		size = (w.sizes.gpus + max(w.sizes.hosts, 1) - 1) / max(w.sizes.hosts, 1)
	case name == "gpus":
		size = w.sizes.gpus
	case name == "telemetry":
		size = defaultPage
	}
	for _, arg := range f.Arguments {
		if arg.Name.Value == "limit" {
			if limit, ok := w.number(arg.Value); ok {
				size = limit
			}
		}
	}
	return min(max(size, 1), w.limits.cost+1)
}

// number gives an argument's whole value, written out, taken from a variable or from its default.
func (w *walker) number(v ast.Value) (int, bool) {
	switch v := v.(type) {
	case *ast.IntValue:
		n, err := strconv.Atoi(v.Value)
		return n, err == nil
	case *ast.Variable:
		return w.variable(v.Name.Value)
	}
	return 0, false
}

func (w *walker) variable(name string) (int, bool) {
	switch given := w.variables[name].(type) {
	case float64:
		return int(given), true
	case int:
		return given, true
	case interface{ Int64() (int64, error) }: // json.Number
		n, err := given.Int64()
		return int(n), err == nil
	}
	for _, def := range w.op.VariableDefinitions {
		if def.Variable.Name.Value == name && def.DefaultValue != nil {
			if _, isVariable := def.DefaultValue.(*ast.Variable); !isVariable {
				return w.number(def.DefaultValue)
			}
		}
	}
	return 0, false
}
