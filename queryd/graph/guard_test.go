package graph

import (
	"fmt"
	"strings"
	"testing"
)

func TestDocumentsThatCouldTakeTheProcessDownAreRefused(t *testing.T) {
	w := newWorld(t)
	cases := []struct{ name, query, want string }{
		{"fragments in a circle", `fragment A on GPU{...B} fragment B on GPU{...A} {gpu(id:"GPU-a0"){...A}}`, "circle"},
		{"a fragment that spreads itself, unused", `{cluster{gpuCount}} fragment A on GPU{id parts{name} ...A}`, "circle"},
		{"four megabytes of brackets", strings.Repeat("[", 4<<20), "bytes"},
		{"brackets below the size limit", `{gpus(host:` + strings.Repeat("[", 60_000), "deep"},
		{"deep nesting", strings.Repeat("{gpus", 40) + strings.Repeat("}", 40), "deep"},
		{"fields nested deeper than any view", nestedQuery(14), "deep"},
		{"thousands of repeated fields", "{hosts{" + strings.Repeat("name ", 3000) + "}}", "fields"},
		{"thousands of repeated fields in an unused fragment", "{hosts{name}} fragment F on Host{" + strings.Repeat("name ", 3000) + "}", "fields"},
		{"too many tokens", "{" + strings.Repeat("hosts{name}", 2000) + "}", "tokens"},
		{"exponential expansion", exponentialQuery(20), "selects more"},
		{"histories of everything", `{telemetry(limit:10000){count} a:telemetry(limit:10000){count} gpus{telemetry(limit:10000){entries{id}}} b:gpus{telemetry(limit:10000){entries{id}}} c:gpus{telemetry(limit:10000){entries{id}}} d:gpus{telemetry(limit:10000){entries{id}}}}`, "objects"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := w.refused(t, c.query)
			if !strings.Contains(string(r.JSON), c.want) || !r.Excessive {
				t.Errorf("got %.200s (excessive %v), want an excess that says %q", r.JSON, r.Excessive, c.want)
			}
		})
	}
}

// nestedQuery asks for hosts of GPUs, n fields deep, in few brackets' worth of real fields.
func nestedQuery(n int) string {
	return "{" + strings.Repeat("cluster{", n) + "gpuCount" + strings.Repeat("}", n) + "}"
}

// exponentialQuery doubles its selections with each of n fragments.
func exponentialQuery(n int) string {
	var b strings.Builder
	b.WriteString("{cluster{...F0}}")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Cluster{...F%d ...F%d}", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Cluster{gpuCount}", n)
	return b.String()
}

func TestIntrospectionOfToolsPassesAndCanBeSwitchedOff(t *testing.T) {
	w := newWorld(t)
	if got := w.execute(t, introspection, nil); !strings.Contains(got, `"GPUMetricsUpdate"`) {
		t.Errorf("introspection lacks the subscription's type: %.200s", got)
	}
	w.engine.guard.introspection = false
	if r := w.refused(t, `{__schema{types{name}}}`); !strings.Contains(string(r.JSON), "switched off") {
		t.Errorf("got %s, want a refusal", r.JSON)
	}
}

// introspection is as deep as the tools' own query.
const introspection = `query IntrospectionQuery{__schema{queryType{name}mutationType{name}subscriptionType{name}types{...FullType}directives{name description locations args{...InputValue}}}}
fragment FullType on __Type{kind name description fields(includeDeprecated:true){name description args{...InputValue}type{...TypeRef}isDeprecated deprecationReason}inputFields{...InputValue}interfaces{...TypeRef}enumValues(includeDeprecated:true){name description isDeprecated deprecationReason}possibleTypes{...TypeRef}}
fragment InputValue on __InputValue{name description type{...TypeRef}defaultValue}
fragment TypeRef on __Type{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name ofType{kind name}}}}}}}}`

func TestLimitsCountVariables(t *testing.T) {
	w := newWorld(t)
	query := `query($n:Int=10){gpus(limit:3){telemetry(limit:$n){entries{id}}}}`
	w.execute(t, query, map[string]any{"n": float64(100)})
	r := w.engine.Execute(everybody(t), Request{Query: query, Variables: map[string]any{"n": float64(90_000)}})
	if !r.Excessive {
		t.Errorf("got %.200s, want an excess", r.JSON)
	}
}

func TestVariablesWithoutATypeAreRefusedAndNotFollowed(t *testing.T) {
	w := newWorld(t)
	for _, written := range []string{"", "!", "[]", "[", "]", "[!]!", "[[]]"} {
		query := `query($n:` + written + `){hosts{name}}`
		r := w.engine.Execute(everybody(t), Request{Query: query})
		if !r.Refused || !strings.Contains(string(r.JSON), "errors") {
			t.Errorf("%s: got %.200s, want a refusal", query, r.JSON)
		}
	}
}

func FuzzGuard(f *testing.F) {
	for _, seed := range []string{introspection, `{hosts{name}}`, nestedQuery(5), exponentialQuery(3), `subscription{gpuMetrics{token}}`,
		`fragment A on GPU{...B} fragment B on GPU{...A} {gpu(id:"x"){...A}}`, `query($n:Int=10){gpus(limit:$n){id}}`,
		`query A($n:[Int!]!=[1],$m:In={a:"b"})@skip(if:true){a:hosts@include(if:$n){...on Host{name}}} mutation B{a}`,
		`schema{query:A} type A implements B{a(b:[Int!]=1):C!@d} union D=A|B enum E{F} input G{a:Int=1} directive @a(b:Int) on FIELD`} {
		f.Add(seed)
	}
	engine, err := New(Config{}, nil, nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		doc, op, err := engine.guard.admitRequest(Request{Query: query}, sizes{hosts: 100, gpus: 1000})
		if err == nil && (doc == nil || op == nil) {
			t.Error("admitted nothing")
		}
	})
}
