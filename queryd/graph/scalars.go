package graph

import (
	"encoding/json"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"

	"telemetry-pipeline/events"
)

const dateTimeName = "DateTime"

// scalars holds the schema's own scalars. A reading's number is a decimal and is written unchanged: the library's
// Float would lose digits and turn numbers outside its range into null.
type scalars struct {
	dateTime, number, prepared, revision *graphql.Scalar
}

func newScalars() scalars {
	return scalars{
		dateTime: graphql.NewScalar(graphql.ScalarConfig{
			Name:         dateTimeName,
			Description:  "An instant in RFC 3339, UTC, with as many fraction digits as it has.",
			Serialize:    serializeTime,
			ParseValue:   parseTimeValue,
			ParseLiteral: parseTimeLiteral,
		}),
		number:   outputScalar("Number", "An exact decimal number."),
		prepared: outputScalar("JSON", "JSON of any shape, described where it is used."),
		revision: outputScalar("Revision", "An opaque position: in the log, or in the projections."),
	}
}

// outputScalar returns a scalar that occurs only in answers and is already in its final form.
func outputScalar(name, description string) *graphql.Scalar {
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

// exactJSON returns a number as JSON with its exact digits.
func exactJSON(n events.Number) json.RawMessage { return n.Append(nil) }
