package graph

import "github.com/graphql-go/graphql/language/ast"

// wholeTypes refuses variables of a type that is not written out, such as $n: or $n:[]. The parser lets them
// through, and validation would follow the missing part.
func wholeTypes(doc *ast.Document) error {
	for _, def := range doc.Definitions {
		op, ok := def.(*ast.OperationDefinition)
		if !ok {
			continue
		}
		for _, v := range op.VariableDefinitions {
			if !whole(v.Type) {
				return refuse("the type of variable $%s is missing; write it as $%[1]s: Int or $%[1]s: [String!]", v.Variable.Name.Value)
			}
		}
	}
	return nil
}

// whole tells that a type names what it is a list of. It recurses no deeper than brackets nest, for the
// parser makes one list of each.
func whole(t ast.Type) bool {
	switch t := t.(type) {
	case *ast.List:
		return whole(t.Type)
	case *ast.NonNull:
		return whole(t.Type)
	default:
		return t != nil
	}
}
