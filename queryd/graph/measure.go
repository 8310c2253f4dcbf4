package graph

import (
	"strconv"

	"github.com/graphql-go/graphql/language/ast"
)

// sizes holds the numbers of objects in the lists that a document may request without a limit.
type sizes struct{ hosts, gpus int }

// defaultPage is the default limit of telemetry.
const defaultPage = 100

// measureOperation bounds the work of an operation: its depth, the selections after expansion of fragments, and its
// cost. It stops as soon as a limit is exceeded, since expansion can be exponential.
func (g *guard) measureOperation(doc *ast.Document, op *ast.OperationDefinition, variables map[string]any, sizes sizes) error {
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
	return w.walkSet(op.SelectionSet, selectionScope{depth: 1, times: 1, maxDepth: g.limits.depth})
}

// countFields refuses a document with more fields than an operation may select, in any position: validation compares
// all of a set with each other, used or not.
func (g *guard) countFields(doc *ast.Document) error {
	total := 0
	for _, def := range doc.Definitions {
		owner, ok := def.(interface{ GetSelectionSet() *ast.SelectionSet })
		if !ok {
			continue
		}
		if total += fieldsIn(owner.GetSelectionSet()); total > g.limits.selections {
			return overLimit("the document has more than %d fields", g.limits.selections)
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

// oneRootField enforces the specification's rule for subscriptions: a single root field. The library does not check
// it, and fails on a skipped one.
func oneRootField(op *ast.OperationDefinition) error {
	if len(op.SelectionSet.Selections) != 1 {
		return badRequest("a subscription takes exactly one root field")
	}
	field, ok := op.SelectionSet.Selections[0].(*ast.Field)
	if !ok || len(field.Directives) > 0 {
		return badRequest("a subscription's root is one field, without fragments and directives")
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

// selectionScope is the position of a selection set in the operation: its depth, the field above it, and the number
// of objects for which it is evaluated.
type selectionScope struct {
	depth, maxDepth int
	times           int
	parent          string
}

func (w *walker) walkSet(set *ast.SelectionSet, at selectionScope) error {
	if set == nil {
		return nil
	}
	if at.depth > at.maxDepth {
		return overLimit("fields nest more than %d deep", at.maxDepth)
	}
	for _, selection := range set.Selections {
		if w.selections++; w.selections > w.limits.selections {
			return overLimit("the operation selects more than %d fields", w.limits.selections)
		}
		if err := w.visitSelection(selection, at); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) visitSelection(selection ast.Selection, at selectionScope) error {
	switch s := selection.(type) {
	case *ast.InlineFragment:
		return w.walkSet(s.SelectionSet, at)
	case *ast.FragmentSpread:
		return w.walkSet(w.fragments[s.Name.Value], at)
	case *ast.Field:
		return w.visitField(s, at)
	}
	return nil
}

func (w *walker) visitField(f *ast.Field, at selectionScope) error {
	name := f.Name.Value
	if name == "__schema" || name == "__type" {
		if !w.introspection {
			return badRequest("introspection is switched off here")
		}
		at.maxDepth = introspectionDepth
	}
	if f.SelectionSet == nil {
		return nil
	}
	below := selectionScope{depth: at.depth + 1, maxDepth: at.maxDepth, parent: name, times: at.times * w.fieldSize(f, at.parent)}
	if w.cost += below.times; below.times > w.limits.cost || w.cost > w.limits.cost {
		return overLimit("the operation asks for more than %d objects: give its lists a smaller limit", w.limits.cost)
	}
	return w.walkSet(f.SelectionSet, below)
}

// fieldSize returns the number of objects that a field may return: its limit, or the current size of its list.
func (w *walker) fieldSize(f *ast.Field, parent string) int {
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
			if limit, ok := w.intValue(arg.Value); ok {
				size = limit
			}
		}
	}
	return min(max(size, 1), w.limits.cost+1)
}

// intValue returns an integer argument, from a literal, a variable or the variable's default.
func (w *walker) intValue(v ast.Value) (int, bool) {
	switch v := v.(type) {
	case *ast.IntValue:
		n, err := strconv.Atoi(v.Value)
		return n, err == nil
	case *ast.Variable:
		return w.intVariable(v.Name.Value)
	}
	return 0, false
}

func (w *walker) intVariable(name string) (int, bool) {
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
				return w.intValue(def.DefaultValue)
			}
		}
	}
	return 0, false
}
