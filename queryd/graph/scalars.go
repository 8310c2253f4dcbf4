package graph

import (
	"encoding/json"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"

	"telemetry-pipeline/events"
)

// scalars are the schema's own. A reading's number is a decimal and is written as it is: the library's
// Float would lose digits and turn what does not fit into null.
type scalars struct {
	dateTime, number, prepared, revision *graphql.Scalar
}

func newScalars() scalars {
	return scalars{
		dateTime: graphql.NewScalar(graphql.ScalarConfig{
			Name:         "DateTime",
			Description:  "An instant in RFC 3339, UTC, with as many fraction digits as it has.",
			Serialize:    serializeTime,
			ParseValue:   parseTimeValue,
			ParseLiteral: parseTimeLiteral,
		}),
		number:   output("Number", "An exact decimal number."),
		prepared: output("JSON", "JSON of any shape; what it holds is told where it is used."),
		revision: output("Revision", "An opaque position: in the log, or in the projections."),
	}
}

// output is a scalar that is only ever given, already in the form in which it is sent.
func output(name, description string) *graphql.Scalar {
	return graphql.NewScalar(graphql.ScalarConfig{
		Name: name, Description: description,
		Serialize:    func(v any) any { return v },
		ParseValue:   func(any) any { return nil },
		ParseLiteral: func(ast.Value) any { return nil },
	})
}

func serializeTime(v any) any {
	if at, ok := v.(events.Timestamp); ok {
		return at.String()
	}
	return nil
}

func parseTimeValue(v any) any {
	if text, ok := v.(string); ok {
		return text
	}
	return nil
}

func parseTimeLiteral(v ast.Value) any {
	if text, ok := v.(*ast.StringValue); ok {
		return text.Value
	}
	return nil
}

// exact gives a number as JSON of its own digits.
func exact(n events.Number) json.RawMessage { return n.Append(nil) }
