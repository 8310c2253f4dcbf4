package accessmatrix

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"telemetry-pipeline/events/access"
)

// queryFields returns the root fields of queries, each with the arguments of its requests; HOST, GPU and TIME stand in them as in
// requests of routes.
func queryFields() map[string][]string {
	return map[string][]string{
		"clusters": {""},
		"cluster":  {"", `(asOf:"TIME")`},
		"hosts":    {"", `(limit:1)`, `(asOf:"TIME")`},
		"host":     {`(name:"HOST")`, `(name:"HOST",asOf:"TIME")`},
		"gpus":     {"", `(limit:1)`, `(host:"HOST")`, `(asOf:"TIME")`},
		"gpu":      {`(id:"GPU")`, `(id:"HOST:0")`, `(id:"HOST:GPU")`, `(id:"GPU",asOf:"TIME")`, `(id:"` + sharedUUID + `")`},
		"telemetry": {"", `(limit:2)`, `(limit:1000,order:"asc")`, `(host:["HOST"])`, `(gpu:["GPU"])`, `(gpu:["HOST:0"])`, `(gpu:["` + sharedUUID + `"])`, `(step:"1h")`, `(step:"1h",agg:["avg"],host:["HOST"])`,
			`(metric:["` + foreignMetric + `"])`, `(start:"now-1d",end:"TIME")`, `(cursor:"CURSOR",limit:2)`},
	}
}

// subscriptionFields returns the root fields of subscriptions in the same way.
func subscriptionFields() map[string][]string {
	return map[string][]string{
		"gpuMetrics": {"", `(host:["HOST"])`, `(gpu:["GPU"])`, `(gpu:["HOST:0"])`, `(gpu:["` + sharedUUID + `"])`, `(metric:["` + foreignMetric + `"])`, `(hz:20)`, `(from:"")`},
	}
}

// schemaType is a type of the schema.
type schemaType struct {
	Kind, Name string
	OfType     *schemaType
	Fields     []schemaField
}

type schemaField struct {
	Name string
	Type schemaType
	Args []struct {
		Name string
		Type schemaType
	}
}

// object returns the name of the object type behind lists and marks of non-null, "" for a scalar.
func (t *schemaType) object() string {
	for ; t.OfType != nil; t = t.OfType {
	}
	if t.Kind == "OBJECT" {
		return t.Name
	}
	return ""
}

// schema is the schema that the server describes.
type schema struct {
	QueryType, MutationType, SubscriptionType *struct{ Name string }
	Types                                     []schemaType
}

func (s *schema) fieldsOf(object string) []schemaField {
	for _, t := range s.Types {
		if t.Name == object {
			return t.Fields
		}
	}
	return nil
}

// selection returns a selection of every field of an object, without fields that lead back to an object that it is in, and without
// history inside of lists, which has a cost of its own.
func (s *schema) selection(object string, path ...string) string {
	var b strings.Builder
	b.WriteString("{")
	for _, f := range s.fieldsOf(object) {
		inner := f.Type.object()
		switch {
		case inner == "":
			b.WriteString(f.Name + " ")
		case inner == "TelemetryPage" && len(path) > 0:
			b.WriteString(f.Name + "(limit:2){count nextCursor entries{host id metrics}} ")
		case inner != object && !slices.Contains(path, inner):
			b.WriteString(f.Name + s.selection(inner, append(path, object)...) + " ")
		}
	}
	return b.String() + "}"
}

// introspect reads the schema.
func (s *stack) introspect() (all schema) {
	s.Helper()
	const level = `kind name ofType{kind name ofType{kind name ofType{kind name}}}`
	a := s.query(s.client(s.named("read-whole")), `{__schema{queryType{name} mutationType{name} subscriptionType{name} types{kind name fields{name type{`+level+`} args{name type{`+level+`}}}}}}`)
	var result struct {
		Data struct {
			Schema schema `json:"__schema"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &result); err != nil || result.Data.Schema.QueryType == nil {
		s.Fatalf("introspection: %s (%v)", a, err)
	}
	return result.Data.Schema
}

// query sends a GraphQL operation.
func (s *stack) query(client *http.Client, operation string) answer {
	s.Helper()
	return ask(s.T, client, http.MethodPost, s.queries+"/graphql", "application/json", operationJSON(operation))
}

func operationJSON(operation string) []byte {
	text, err := json.Marshal(map[string]string{"query": operation})
	if err != nil {
		panic(err)
	}
	return text
}

// checkFields checks that a table has every root field of a kind of operation, and a request with each of its arguments.
func (s *stack) checkFields(fields []schemaField, table map[string][]string) {
	s.Helper()
	for _, f := range fields {
		for _, argument := range f.Args {
			if !regexp.MustCompile(`[(,]` + argument.Name + `:`).MatchString(strings.Join(table[f.Name], " ")) {
				s.Errorf("field %s has the argument %s, which no request of the table has: add one", f.Name, argument.Name)
			}
		}
		if _, known := table[f.Name]; !known {
			s.Errorf("the schema has the field %s, which the table of this test does not know: add it with its requests", f.Name)
		}
	}
}

// operations returns a request for each root field and its arguments, with every field of the answer.
func (all *schema) operations(kind, object string, table map[string][]string) (operations []string) {
	for _, f := range all.fieldsOf(object) {
		for _, arguments := range table[f.Name] {
			operations = append(operations, fmt.Sprintf("%s{%s%s%s}", kind, f.Name, arguments, all.selection(f.Type.object())))
		}
	}
	return operations
}

// walkGraphQL sends every operation over HTTP as every principal.
func (s *stack) walkGraphQL() {
	all := s.introspect()
	s.checkFields(all.fieldsOf("Query"), queryFields())
	s.checkFields(all.fieldsOf("Subscription"), subscriptionFields())
	if all.MutationType != nil {
		s.Errorf("the schema has mutations, which this test does not know")
	}
	mine, foreign, missing := s.findSubjects()
	cursor := regexp.MustCompile(`"nextCursor":"([^"]+)"`).FindStringSubmatch(s.query(s.client(s.named("read-whole")), `{telemetry(limit:2){nextCursor}}`).body)
	if cursor == nil {
		s.Fatal("a page has no cursor")
	}
	for _, p := range s.principals {
		client := s.client(p)
		for _, operation := range p.some(all.operations("query", "Query", queryFields())) {
			operation = strings.ReplaceAll(operation, "CURSOR", cursor[1])
			var answers [3]answer
			for i, of := range []subject{mine, foreign, missing} {
				answers[i] = s.query(client, s.inOperation(operation, of))
			}
			s.checkOperation(p, operation, answers, [3]subject{mine, foreign, missing})
		}
	}
}

// inOperation puts a subject into the arguments of an operation.
func (s *stack) inOperation(operation string, of subject) string {
	return regexp.MustCompile(`\([^)]*\)`).ReplaceAllStringFunc(operation, func(arguments string) string { return s.in(arguments, of) })
}

// checkOperation checks the answers to an operation about own, foreign and missing things.
func (s *stack) checkOperation(p *principal, operation string, answers [3]answer, subjects [3]subject) {
	s.Helper()
	what := fmt.Sprintf("%s: %.80s", p.name, operation)
	if refused := p.refusal(access.Read); refused != 0 {
		for _, a := range answers {
			if a.status != refused || foreignWordIn(a.text()) != "" {
				s.Errorf("%s: got %s, want %d", what, a, refused)
			}
		}
		return
	}
	foreignCursor := strings.Contains(operation, "cursor:") && !p.seesAll()
	if a := answers[0]; (a.status != http.StatusOK || strings.Contains(a.body, `"errors"`)) && !foreignCursor {
		s.Errorf("%s: got %s, want it answered", what, a)
	}
	if p.seesAll() {
		about := regexp.MustCompile(`^\w*\{\w+\([^)]*(HOST|GPU")`).MatchString(operation)
		if a := answers[1]; about && foreignWordIn(subjects[1].blank(a.body)) == "" {
			s.Errorf("%s: got %s about a foreign host, want it shown", what, a)
		}
		return
	}
	for i, a := range answers {
		s.checkScoped(what, subjects[i], a)
	}
	if got, want := answers[1].comparable(subjects[1]), answers[2].comparable(subjects[2]); got != want {
		s.Errorf("%s: the answers about foreign and missing things differ:\n%.1000s\n%.1000s", what, got, want)
	}
}
