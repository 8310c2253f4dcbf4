package graph

import (
	"slices"
	"strings"

	"github.com/graphql-go/graphql/language/ast"
)

// fragmentCycle refuses fragments that spread each other in a circle, used or not: validation would
// follow them until its stack is full.
func fragmentCycle(doc *ast.Document) error {
	spreads := map[string][]string{}
	for _, def := range doc.Definitions {
		if f, ok := def.(*ast.FragmentDefinition); ok {
			spreads[f.Name.Value] = append(spreads[f.Name.Value], spreadsIn(f.SelectionSet)...)
		}
	}
	done := map[string]bool{}
	for name := range spreads {
		if path := findCycle(name, spreads, done, nil); path != nil {
			return overLimit("fragments spread each other in a circle: %s", strings.Join(path, " → "))
		}
	}
	return nil
}

// findCycle follows the spreads of a fragment and returns the path of a cycle, nil if there is none. A path has each
// fragment once, so the recursion is no deeper than there are fragments.
func findCycle(name string, spreads map[string][]string, done map[string]bool, path []string) []string {
	if i := slices.Index(path, name); i >= 0 {
		return append(slices.Clone(path[i:]), name)
	}
	if done[name] {
		return nil
	}
	path = append(path, name)
	for _, next := range spreads[name] {
		if found := findCycle(next, spreads, done, path); found != nil {
			return found
		}
	}
	done[name] = true
	return nil
}

// spreadsIn returns the fragments that a selection set spreads, at any depth of it.
func spreadsIn(set *ast.SelectionSet) []string {
	if set == nil {
		return nil
	}
	var names []string
	for _, selection := range set.Selections {
		switch s := selection.(type) {
		case *ast.FragmentSpread:
			names = append(names, s.Name.Value)
		case *ast.InlineFragment:
			names = append(names, spreadsIn(s.SelectionSet)...)
		case *ast.Field:
			names = append(names, spreadsIn(s.SelectionSet)...)
		}
	}
	return names
}
