package graph

import (
	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events/access"
)

// rootField is a field of a root type with the right that its callers need. Root types have no other fields, so that nobody adds
// one without naming its right.
type rootField struct {
	name  string
	need  access.Right
	field *graphql.Field
}

// newRoot returns a root type. Its fields are resolved for callers only who have the right; the zero Right is held by nobody.
func (e *Engine) newRoot(name string, fields []rootField) *graphql.Object {
	all := graphql.Fields{}
	for _, f := range fields {
		e.rights[name+"."+f.name] = f.need
		all[f.name] = guardField(f)
	}
	return newObject(name, "", all)
}

// guardField returns the field with a resolver that checks the caller's right first.
func guardField(f rootField) *graphql.Field {
	resolve := f.field.Resolve
	f.field.Resolve = func(p graphql.ResolveParams) (any, error) {
		if err := access.PrincipalFrom(p.Context).Check(f.need); err != nil {
			return nil, err
		}
		return resolve(p)
	}
	return f.field
}
