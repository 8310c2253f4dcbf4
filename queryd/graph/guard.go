package graph

import (
	"crypto/sha256"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"
	"github.com/graphql-go/graphql/language/parser"
	"github.com/graphql-go/graphql/language/source"
	lru "github.com/hashicorp/golang-lru/v2"
)

// limits bound a document. They hold in the order in which they stand here: each is checked before the
// work that it protects.
type limits struct {
	bytes      int // of the document
	tokens     int
	nesting    int // of brackets, before the parser recurses into them
	depth      int // of fields, fragments expanded
	selections int // after expansion of fragments
	cost       int // objects that the lists asked for may give
}

func defaultLimits() limits {
	return limits{bytes: 64 << 10, tokens: 5000, nesting: 32, depth: 12, selections: 500, cost: 100_000}
}

// introspectionDepth is how deep a document may go below __schema and __type: tools nest ofType nine
// times.
const introspectionDepth = 20

// cachedDocuments is how many valid documents are kept, so that dashboards that ask the same again
// cost no parsing.
const cachedDocuments = 1000

// guard lets only documents through that are valid and bounded.
type guard struct {
	limits        limits
	introspection bool
	schema        *graphql.Schema
	valid         *lru.Cache[[sha256.Size]byte, *ast.Document]
}

func newGuard(schema *graphql.Schema, introspection bool) (*guard, error) {
	valid, err := lru.New[[sha256.Size]byte, *ast.Document](cachedDocuments)
	if err != nil {
		return nil, err
	}
	return &guard{limits: defaultLimits(), introspection: introspection, schema: schema, valid: valid}, nil
}

// admit gives the parsed document and the operation that it asks for, or a *requestError; the operation
// is given with an error too, once it is known. sizes tells how many objects a list has now.
func (g *guard) admit(req Request, sizes sizes) (*ast.Document, *ast.OperationDefinition, error) {
	if len(req.Query) > g.limits.bytes {
		return nil, nil, excess("document has %d bytes; at most %d are taken", len(req.Query), g.limits.bytes)
	}
	key := sha256.Sum256([]byte(req.Query))
	doc, known := g.valid.Get(key)
	if !known {
		var err error
		if doc, err = g.parse(req.Query); err != nil {
			return nil, nil, err
		}
	}
	op, err := operation(doc, req.OperationName)
	if err != nil {
		return nil, nil, err
	}
	if err := g.measureAll(doc, op, req.Variables, sizes); err != nil {
		return nil, op, err
	}
	if !known {
		if err := g.validate(doc); err != nil {
			return nil, op, err
		}
		g.valid.Add(key, doc)
	}
	return doc, op, nil
}

// measureAll measures every operation of the document, since validation visits all of them; only the
// one that runs has variables.
func (g *guard) measureAll(doc *ast.Document, runs *ast.OperationDefinition, variables map[string]any, sizes sizes) error {
	for _, def := range doc.Definitions {
		op, ok := def.(*ast.OperationDefinition)
		if !ok {
			continue
		}
		given := variables
		if op != runs {
			given = nil
		}
		if err := g.measure(doc, op, given, sizes); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) parse(query string) (*ast.Document, error) {
	src := source.NewSource(&source.Source{Body: []byte(query), Name: "GraphQL request"})
	if err := g.scan(src); err != nil {
		return nil, err
	}
	doc, err := parser.Parse(parser.ParseParams{Source: src})
	if err != nil {
		return nil, refuse("%s", err.Error())
	}
	if err := wholeTypes(doc); err != nil {
		return nil, err
	}
	if err := fragmentCycle(doc); err != nil {
		return nil, err
	}
	return doc, g.countFields(doc)
}

// validate runs the library's rules. NoFragmentCycles alone is safe on any input, so it goes first.
func (g *guard) validate(doc *ast.Document) error {
	for _, rules := range [][]graphql.ValidationRuleFn{{graphql.NoFragmentCyclesRule}, graphql.SpecifiedRules} {
		if result := graphql.ValidateDocument(g.schema, doc, rules); !result.IsValid {
			return invalid(result.Errors)
		}
	}
	return nil
}

// operation picks the operation to run as the specification says: the named one, or the only one.
func operation(doc *ast.Document, name string) (*ast.OperationDefinition, error) {
	var found *ast.OperationDefinition
	for _, def := range doc.Definitions {
		op, ok := def.(*ast.OperationDefinition)
		if !ok {
			continue
		}
		switch {
		case name != "" && op.Name != nil && op.Name.Value == name:
			return op, nil
		case name == "" && found != nil:
			return nil, refuse("the document has several operations: name one in operationName")
		case name == "":
			found = op
		}
	}
	if found == nil {
		return nil, refuse("the document has no operation named %q", name)
	}
	return found, nil
}
