package access

import (
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events"
)

func TestParseScope(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"", ""}, {"  ", ""}, {"*", "*"}, {" * ", "*"},
		{"host=a", "host=a"},
		{"host=b,a,b", "host=a,host=b"},
		{"namespace=n,cluster=c,host=h", "cluster=c,host=h,namespace=n"},
		{" host = a , cluster = b ", "cluster=b,host=a"},
		{"host=gpu-*", "host=gpu-*"},
		{"host=*", "host=*"},
	}
	for _, tt := range tests {
		got, err := ParseScope(tt.text)
		if err != nil || got.String() != tt.want {
			t.Errorf("%q: got %q, error %v, want %q", tt.text, got, err, tt.want)
		}
	}
}

func TestHostileScopesAreRefused(t *testing.T) {
	t.Parallel()
	secret := "tp_" + strings.Repeat("x", 43)
	for _, text := range []string{
		"a", "*,host=a", "host", "host=", "host=a,", ",host=a", "=a", "hosts=a", "HOST=a", "host=a=b,c=d", "host=a\x00b", "host=a\nb", "host=a\x7f",
		"host=" + strings.Repeat("a", maxScopeName+1), "host=a" + strings.Repeat(",a", maxScopeNames), secret, secret + "=a", "host=a," + secret + "=b",
		strings.Repeat("x", 1<<20),
	} {
		s, err := ParseScope(text)
		if err == nil {
			t.Errorf("%.50q: got scope %q, want an error", text, s)
			continue
		}
		if !s.IsEmpty() {
			t.Errorf("%.50q: got scope %q with the error, want the empty one", text, s)
		}
		if strings.Contains(err.Error(), secret) || len(err.Error()) > 400 {
			t.Errorf("%.50q: got error %v, want a short one without the token", text, err)
		}
	}
}

func TestScopeSelects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		scope, cluster, in  string
		hosts, namespaces   string // selected ones of a, gpu-1 and n, ""
		whole, empty, byNsp bool
	}{
		{"", "c", "", "", "", false, true, false},
		{"*", "c", "*", "a gpu-1", "n -", true, false, false},
		{"host=gpu-*", "c", "host=gpu-*", "gpu-1", "n -", false, false, false},
		{"host=gpu-?", "c", "host=gpu-?", "gpu-1", "n -", false, false, false},
		{"host=gpu", "c", "host=gpu", "", "n -", false, false, false},
		{"cluster=c", "c", "*", "a gpu-1", "n -", true, false, false},
		{"cluster=d", "c", "", "", "", false, true, false},
		{"cluster=d,host=a", "c", "", "", "", false, true, false},
		{"cluster=c", "", "", "", "", false, true, false},
		{"cluster=*,host=a", "c", "host=a", "a", "n -", false, false, false},
		{"namespace=n", "c", "namespace=n", "a gpu-1", "n", false, false, true},
		{"namespace=*", "c", "namespace=*", "a gpu-1", "n -", false, false, true},
		{"host=a,namespace=m", "c", "host=a,namespace=m", "a", "", false, false, true},
	}
	for _, tt := range tests {
		full, err := ParseScope(tt.scope)
		if err != nil {
			t.Fatal(err)
		}
		s := full.In(tt.cluster)
		if s.String() != tt.in || s.IsWhole() != tt.whole || s.IsEmpty() != tt.empty || s.ByNamespace() != tt.byNsp {
			t.Errorf("%q in %q: got %q, whole %t, empty %t, by namespace %t, want %q, %t, %t, %t",
				tt.scope, tt.cluster, s, s.IsWhole(), s.IsEmpty(), s.ByNamespace(), tt.in, tt.whole, tt.empty, tt.byNsp)
		}
		var hosts, namespaces []string
		for _, host := range []string{"a", "gpu-1"} {
			if s.HasHost(events.HostID(host)) {
				hosts = append(hosts, host)
			}
		}
		for _, namespace := range []string{"n", ""} {
			if s.HasNamespace(namespace) {
				namespaces = append(namespaces, map[bool]string{true: "-", false: namespace}[namespace == ""])
			}
		}
		if got := strings.Join(hosts, " "); got != tt.hosts {
			t.Errorf("%q in %q: got hosts %q, want %q", tt.scope, tt.cluster, got, tt.hosts)
		}
		if got := strings.Join(namespaces, " "); got != tt.namespaces {
			t.Errorf("%q in %q: got namespaces %q, want %q", tt.scope, tt.cluster, got, tt.namespaces)
		}
		if len(full.clusters) > 0 && (full.HasHost("a") || full.HasNamespace("n")) {
			t.Errorf("%q: selects telemetry before it is narrowed to a cluster", tt.scope)
		}
	}
}

func FuzzScopeRoundTrip(f *testing.F) {
	for _, text := range []string{"", "*", "host=a,b", "cluster=x,host=y,namespace=z", "host= a", "host=a=b", "host=\u00a0,", "host==", "host=*,?"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScope(text)
		if err != nil {
			return
		}
		again, err := ParseScope(s.String())
		if err != nil {
			t.Fatalf("%q: String returns %q, which is refused: %v", text, s, err)
		}
		if again.String() != s.String() || again.whole != s.whole || !slices.Equal(again.hosts, s.hosts) ||
			!slices.Equal(again.clusters, s.clusters) || !slices.Equal(again.namespaces, s.namespaces) {
			t.Fatalf("%q: got %+v, want %+v", text, again, s)
		}
	})
}
