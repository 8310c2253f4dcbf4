package graph

import (
	"crypto/sha256"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"
	"github.com/graphql-go/graphql/language/parser"
	"github.com/graphql-go/graphql/language/source"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// limits bound a document. They are checked in the order of the fields, each before the work that it protects.
type limits struct {
	bytes      int // of the document
	tokens     int
	nesting    int // of brackets, before the parser recurses into them
	depth      int // of fields, fragments expanded
	selections int // after expansion of fragments
	cost       int // objects that the requested lists may return
}

func defaultLimits() limits {
	return limits{bytes: 64 << 10, tokens: 5000, nesting: 32, depth: 12, selections: 500, cost: 100_000}
}

// introspectionDepth bounds the depth below __schema and __type: tools nest ofType nine times.
const introspectionDepth = 20

// cachedDocuments bounds the number of valid documents that are kept, so that repeated queries of dashboards are not
// parsed again.
const cachedDocuments = 1000

// guard admits only documents that are valid and bounded.
type guard struct {
	limits        limits
	introspection bool
	schema        *graphql.Schema
	valid         *lru.Cache[[sha256.Size]byte, *ast.Document]
	hits, misses  prometheus.Counter // of valid
}

func newGuard(schema *graphql.Schema, introspection bool) (*guard, error) {
	valid, err := lru.New[[sha256.Size]byte, *ast.Document](cachedDocuments)
	if err != nil {
		return nil, err
	}
	return &guard{limits: defaultLimits(), introspection: introspection, schema: schema, valid: valid,
		hits:   newCacheCounter("graph_cache_hits_total", "Requests whose document was parsed and checked before."),
		misses: newCacheCounter("graph_cache_misses_total", "Requests whose document had to be parsed and checked."),
	}, nil
}

// admitRequest returns the parsed document and the requested operation, or a *requestError. It returns the operation
// with an error too, once it is known. sizes holds the current numbers of objects in lists.
func (g *guard) admitRequest(req Request, sizes sizes) (*ast.Document, *ast.OperationDefinition, error) {
	if len(req.Query) > g.limits.bytes {
		return nil, nil, overLimit("document has %d bytes; at most %d are taken", len(req.Query), g.limits.bytes)
	}
	key := sha256.Sum256([]byte(req.Query))
	doc, known := g.valid.Get(key)
	if known {
		g.hits.Inc()
	} else {
		g.misses.Inc()
		var err error
		if doc, err = g.parseDocument(req.Query); err != nil {
			return nil, nil, err
		}
	}
	op, err := pickOperation(doc, req.OperationName)
	if err != nil {
		return nil, nil, err
	}
	if err := g.measureAll(doc, op, req.Variables, sizes); err != nil {
		return nil, op, err
	}
	if !known {
		if err := g.validateDocument(doc); err != nil {
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
		if err := g.measureOperation(doc, op, given, sizes); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) parseDocument(query string) (*ast.Document, error) {
	src := source.NewSource(&source.Source{Body: []byte(query), Name: "GraphQL request"})
	if err := g.scanTokens(src); err != nil {
		return nil, err
	}
	doc, err := parser.Parse(parser.ParseParams{Source: src})
	if err != nil {
		return nil, badRequest("%s", err.Error())
	}
	if err := completeTypes(doc); err != nil {
		return nil, err
	}
	if err := fragmentCycle(doc); err != nil {
		return nil, err
	}
	return doc, g.countFields(doc)
}

// validateDocument runs the library's rules. NoFragmentCycles alone is safe on any input, so it goes first.
func (g *guard) validateDocument(doc *ast.Document) error {
	for _, rules := range [][]graphql.ValidationRuleFn{{graphql.NoFragmentCyclesRule}, graphql.SpecifiedRules} {
		if result := graphql.ValidateDocument(g.schema, doc, rules); !result.IsValid {
			return invalidDocument(result.Errors)
		}
	}
	return nil
}

// pickOperation returns the operation to run, by the rules of the specification: the named one, or the only one.
func pickOperation(doc *ast.Document, name string) (*ast.OperationDefinition, error) {
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
			return nil, badRequest("the document has several operations: name one in operationName")
		case name == "":
			found = op
		}
	}
	if found == nil {
		return nil, badRequest("the document has no operation named %q", name)
	}
	return found, nil
}
