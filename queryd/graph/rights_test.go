package graph

import (
	"context"
	"strings"
	"testing"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events/access"
)

func TestEveryRootFieldNamesItsRight(t *testing.T) {
	e := newWorld(t).engine
	known := map[string]bool{}
	for _, root := range []*graphql.Object{e.schema.QueryType(), e.schema.MutationType(), e.schema.SubscriptionType()} {
		if root == nil {
			continue
		}
		for name := range root.Fields() {
			name = root.Name() + "." + name
			if known[name] = true; e.rights[name] == 0 {
				t.Errorf("field %s names no right; make its type by newRoot, with a right", name)
			}
			if strings.HasPrefix(name, "Mutation.") && e.rights[name] != access.Administer {
				t.Errorf("mutation %s needs %s, want %s", name, e.rights[name], access.Administer)
			}
		}
	}
	if len(known) < 7 || len(e.rights) != len(known) {
		t.Errorf("got rights %v for fields %v", e.rights, known)
	}
}

// TestRootFieldsCheckTheirRight asks as principals who cannot have come this far over HTTP.
func TestRootFieldsCheckTheirRight(t *testing.T) {
	w := newWorld(t)
	as := func(roles ...access.Role) context.Context {
		return access.WithPrincipal(t.Context(), &access.Principal{ID: "p", Roles: roles, Scope: access.Everything()})
	}
	for name, tt := range map[string]struct {
		ctx context.Context
		may bool
	}{
		"nobody": {t.Context(), false}, "ingest": {as(access.RoleIngest), false}, "no role": {as(), false},
		"empty scope": {contextOf(t, ""), false}, "read": {as(access.RoleRead), true}, "admin": {as(access.RoleAdmin), true},
	} {
		for _, query := range []string{
			`{cluster{gpuCount}}`, `{hosts{name}}`, `{host(name:"a"){name}}`, `{gpus{id}}`, `{gpu(id:"GPU-a0"){id}}`, `{telemetry{count entries{host}}}`,
		} {
			got := string(w.engine.Execute(tt.ctx, Request{Query: query}).JSON)
			if strings.Contains(got, "errors") == tt.may || !tt.may && (strings.Contains(got, "GPU-a0") || strings.Contains(got, `"a"`)) {
				t.Errorf("%s: %s: got %s, want an answer: %t", name, query, got, tt.may)
			}
		}
		steps, refused := w.engine.Subscribe(tt.ctx, Request{Query: `subscription{gpuMetrics{gpus{id}}}`})
		if (refused == nil) != tt.may {
			t.Errorf("%s subscribes: got refusal %v, want an answer: %t", name, refused, tt.may)
		}
		if refused == nil {
			for range steps {
				break
			}
		}
	}
	zero := &graphql.Field{Resolve: func(graphql.ResolveParams) (any, error) { return 1, nil }}
	if _, err := guardField(rootField{"x", 0, zero}).Resolve(graphql.ResolveParams{Context: everybody(t)}); err == nil {
		t.Error("a field that names no right is resolved")
	}
}
