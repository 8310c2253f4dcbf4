package graph

import "github.com/graphql-go/graphql/language/ast"

// completeTypes refuses variables of an incomplete type, such as $n: or $n:[]. The parser accepts them, and
// validation would follow the missing part.
func completeTypes(doc *ast.Document) error {
	for _, def := range doc.Definitions {
		op, ok := def.(*ast.OperationDefinition)
		if !ok {
			continue
		}
		for _, v := range op.VariableDefinitions {
			if !isComplete(v.Type) {
				return badRequest("the type of variable $%s is missing; write it as $%[1]s: Int or $%[1]s: [String!]", v.Variable.Name.Value)
			}
		}
	}
	return nil
}

// isComplete reports whether a type names its innermost type. It recurses no deeper than brackets nest, because the
// parser makes one list of each.
func isComplete(t ast.Type) bool {
	switch t := t.(type) {
	case *ast.List:
		return isComplete(t.Type)
	case *ast.NonNull:
		return isComplete(t.Type)
	default:
		return t != nil
	}
}
