package graph

import (
	"slices"
	"strings"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"
)

// planner plans the selections below one field of a valid document.
type planner struct {
	info graphql.ResolveInfo
	base graphql.ResolveParams
}

// planObjects returns the plan for the objects of the list field of p. ok is false if a selection needs the library: a field
// with arguments, or of a type that lists here do not have.
func planObjects(of *graphql.Object, p graphql.ResolveParams) (plan *objectPlan, ok bool) {
	root := currentView(p)
	root.prepared = nil // lists below are written with their parents
	w := planner{info: p.Info, base: graphql.ResolveParams{Context: p.Context}}
	w.base.Info = graphql.ResolveInfo{Path: p.Info.Path, Schema: p.Info.Schema, Fragments: p.Info.Fragments, RootValue: root,
		Operation: p.Info.Operation, VariableValues: p.Info.VariableValues}
	return w.planObject(of, p.Info.FieldASTs)
}

// planObject plans an object that is selected by several fields of the same name in the answer.
func (w *planner) planObject(of *graphql.Object, selectedBy []*ast.Field) (*objectPlan, bool) {
	c := collector{planner: w, of: of, fields: map[string][]*ast.Field{}, visited: map[string]bool{}}
	for _, f := range selectedBy {
		if !c.collectSet(f.SelectionSet) {
			return nil, false
		}
	}
	plan := &objectPlan{}
	for name, fields := range c.fields {
		f, ok := w.planField(of, name, fields)
		if !ok {
			return nil, false
		}
		plan.fields = append(plan.fields, f)
	}
	slices.SortFunc(plan.fields, func(a, b fieldPlan) int { return strings.Compare(a.name, b.name) })
	return plan, true
}

// planField plans a field under its name in the answer.
func (w *planner) planField(of *graphql.Object, name string, fields []*ast.Field) (f fieldPlan, ok bool) {
	own := fields[0].Name.Value
	f = fieldPlan{name: name, prefix: append(appendText(nil, name), ':'), params: w.base}
	f.params.Info.FieldName, f.params.Info.FieldASTs, f.params.Info.ParentType = own, fields, of
	if own == "__typename" {
		f.text = appendText(nil, of.Name())
		return f, true
	}
	def := of.Fields()[own]
	if def == nil || def.Resolve == nil || len(fields[0].Arguments) > 0 {
		return f, false
	}
	for _, arg := range def.Args {
		if arg.DefaultValue != nil {
			return f, false
		}
	}
	f.call, f.params.Info.ReturnType = def.Resolve, def.Type
	f.shape, ok = w.planValue(def.Type, fields)
	return f, ok
}

func (w *planner) planValue(of graphql.Output, fields []*ast.Field) (v valuePlan, ok bool) {
	switch of := of.(type) {
	case *graphql.NonNull:
		inner, isOutput := of.OfType.(graphql.Output)
		if !isOutput {
			return v, false
		}
		v, ok = w.planValue(inner, fields)
		v.nonNull = true
		return v, ok
	case *graphql.List:
		inner, isOutput := of.OfType.(graphql.Output)
		if !isOutput {
			return v, false
		}
		item, ok := w.planValue(inner, fields)
		return valuePlan{item: &item}, ok
	case *graphql.Object:
		v.object, ok = w.planObject(of, fields)
		return v, ok
	case *graphql.Scalar:
		return valuePlan{scalar: of}, true
	}
	return v, false
}

// collector collects the fields that are selected on an object, by their names in the answer.
type collector struct {
	*planner
	of      *graphql.Object
	fields  map[string][]*ast.Field
	visited map[string]bool // fragments by name
}

// collectSet collects the fields of a selection set. It returns false for a selection that needs the library.
func (c *collector) collectSet(set *ast.SelectionSet) bool {
	if set == nil {
		return true
	}
	for _, selection := range set.Selections {
		if !c.collectSelection(selection) {
			return false
		}
	}
	return true
}

func (c *collector) collectSelection(selection ast.Selection) bool {
	switch s := selection.(type) {
	case *ast.Field:
		included, ok := c.isIncluded(s.Directives)
		if included {
			name := s.Name.Value
			if s.Alias != nil && s.Alias.Value != "" {
				name = s.Alias.Value
			}
			c.fields[name] = append(c.fields[name], s)
		}
		return ok
	case *ast.InlineFragment:
		included, ok := c.isIncluded(s.Directives)
		if included && c.matchesType(s.TypeCondition) {
			return ok && c.collectSet(s.SelectionSet)
		}
		return ok
	case *ast.FragmentSpread:
		if c.visited[s.Name.Value] {
			return true
		}
		included, ok := c.isIncluded(s.Directives)
		if !included {
			return ok
		}
		c.visited[s.Name.Value] = true
		fragment, known := c.info.Fragments[s.Name.Value].(*ast.FragmentDefinition)
		return ok && known && (!c.matchesType(fragment.TypeCondition) || c.collectSet(fragment.SelectionSet))
	}
	return false
}

// matchesType reports whether a fragment applies to the object: the schema has neither interfaces nor unions.
func (c *collector) matchesType(condition *ast.Named) bool {
	return condition == nil || condition.Name.Value == c.of.Name()
}

// isIncluded evaluates the directives of a selection. ok is false for one that needs the library.
func (c *collector) isIncluded(directives []*ast.Directive) (included, ok bool) {
	included = true
	for _, d := range directives {
		skip := d.Name.Value == graphql.SkipDirective.Name
		if !skip && d.Name.Value != graphql.IncludeDirective.Name || len(d.Arguments) != 1 {
			return false, false
		}
		condition, ok := c.boolean(d.Arguments[0].Value)
		if !ok {
			return false, false
		}
		included = included && condition != skip
	}
	return included, true
}

func (c *collector) boolean(v ast.Value) (value, ok bool) {
	switch v := v.(type) {
	case *ast.BooleanValue:
		return v.Value, true
	case *ast.Variable:
		value, ok = c.info.VariableValues[v.Name.Value].(bool)
	}
	return value, ok
}
