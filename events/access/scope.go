package access

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/filter"
)

// Scope selects the telemetry that a principal may read or write: by cluster, by host and by the namespace of the workload. A
// kind of name that is left out restricts nothing, but the zero Scope selects nothing at all. Immutable.
type Scope struct {
	whole                       bool
	clusters, hosts, namespaces []string // sorted, without repeats; globs ('*', '?')
}

// Everything returns the scope that selects everything.
func Everything() Scope { return Scope{whole: true} }

// scopeSyntax describes the text of a scope.
const scopeSyntax = "* for everything, or names such as cluster=prod,host=gpu-*,namespace=team-a, in which * and ? match"

// maxScopeNames bounds the names of a scope, and maxScopeName the bytes of each.
const (
	maxScopeNames = 1000
	maxScopeName  = 253
)

// ParseScope parses the form that String returns; "" is the scope that selects nothing. A value without a kind belongs to the
// kind before it, so host=a,b names two hosts.
func ParseScope(text string) (Scope, error) {
	text = strings.TrimSpace(text)
	switch text {
	case "":
		return Scope{}, nil
	case "*":
		return Everything(), nil
	}
	var s Scope
	var names *[]string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if kind, name, found := strings.Cut(part, "="); found {
			kind = strings.TrimSpace(kind)
			if names = s.namesOf(kind); names == nil {
				return Scope{}, fmt.Errorf("scope: %s is none of cluster, host and namespace; write %s", quote(kind), scopeSyntax)
			}
			part = strings.TrimSpace(name)
		}
		if names == nil || part == "" || len(part) > maxScopeName || strings.ContainsFunc(part, isControl) {
			return Scope{}, fmt.Errorf("scope: %s names nothing; write %s", quote(part), scopeSyntax)
		}
		if *names = append(*names, part); len(s.clusters)+len(s.hosts)+len(s.namespaces) > maxScopeNames {
			return Scope{}, fmt.Errorf("a scope takes at most %d names; use globs", maxScopeNames)
		}
	}
	s.normalize()
	return s, nil
}

// maxQuoted bounds the texts that errors show.
const maxQuoted = 64

// looksSecret reports whether a text may be a token, which somebody put in the wrong place.
func looksSecret(text string) bool {
	return strings.Contains(text, tokenPrefix) || strings.HasPrefix(text, "eyJ")
}

// quote returns a text that somebody wrote for an error, unless it may be a token that was put there by mistake.
func quote(text string) string {
	if looksSecret(text) {
		return "a text that looks like a token"
	}
	if len(text) > maxQuoted {
		return fmt.Sprintf("a text of %d bytes", len(text))
	}
	return strconv.Quote(text)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// namesOf returns the names of a kind, nil for an unknown kind.
func (s *Scope) namesOf(kind string) *[]string {
	switch kind {
	case "cluster":
		return &s.clusters
	case "host":
		return &s.hosts
	case "namespace":
		return &s.namespaces
	}
	return nil
}

// normalize sorts the names, and leaves out repeats.
func (s *Scope) normalize() {
	for _, names := range []*[]string{&s.clusters, &s.hosts, &s.namespaces} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
}

// String returns the scope in one form: equal scopes have equal texts.
func (s Scope) String() string {
	if s.whole {
		return "*"
	}
	var parts []string
	for _, kind := range []string{"cluster", "host", "namespace"} {
		for _, name := range *s.namesOf(kind) {
			parts = append(parts, kind+"="+name)
		}
	}
	return strings.Join(parts, ",")
}

// IsWhole reports whether the scope selects everything.
func (s Scope) IsWhole() bool { return s.whole }

// IsEmpty reports whether the scope selects nothing.
func (s Scope) IsEmpty() bool {
	return !s.whole && len(s.clusters) == 0 && len(s.hosts) == 0 && len(s.namespaces) == 0
}

// AllClusters is the cluster of a process that serves several: In(AllClusters) leaves a scope as it is, and each answer narrows it
// to its own cluster (InCluster). Before that, a scope that names clusters selects no host and no namespace.
const AllClusters = "*"

// In returns the scope's part in one cluster: without its clusters, and empty if the cluster is none of them.
func (s Scope) In(cluster string) Scope {
	if s.whole || s.IsEmpty() || cluster == AllClusters {
		return s
	}
	if !matchesAny(s.clusters, cluster) {
		return Scope{}
	}
	if len(s.hosts) == 0 && len(s.namespaces) == 0 {
		return Everything()
	}
	return Scope{hosts: s.hosts, namespaces: s.namespaces}
}

// HasHost reports whether the scope selects telemetry of a host. A scope with clusters has to be narrowed by In before.
func (s Scope) HasHost(host events.HostID) bool {
	return s.whole || !s.IsEmpty() && len(s.clusters) == 0 && matchesAny(s.hosts, string(host))
}

// HasWholeHost reports whether the scope selects all telemetry of a host, of workloads in any namespace.
func (s Scope) HasWholeHost(host events.HostID) bool { return !s.ByNamespace() && s.HasHost(host) }

// HostFilter returns HasWholeHost, or nil for a scope that selects everything, also telemetry of no host.
func (s Scope) HostFilter() func(host events.HostID) bool {
	if s.whole {
		return nil
	}
	return s.HasWholeHost
}

// ByNamespace reports whether the scope selects only some namespaces.
func (s Scope) ByNamespace() bool { return len(s.namespaces) > 0 }

// HasNamespace reports whether the scope selects telemetry of workloads in a namespace, "" for telemetry of no workload.
func (s Scope) HasNamespace(namespace string) bool {
	return s.whole || !s.IsEmpty() && len(s.clusters) == 0 && matchesAny(s.namespaces, namespace)
}

// OfHosts returns the scope of all telemetry on the scope's hosts, of workloads in any namespace.
func (s Scope) OfHosts() Scope {
	if s.IsEmpty() || len(s.clusters) == 0 && len(s.hosts) == 0 {
		return Scope{whole: !s.IsEmpty()}
	}
	return Scope{clusters: s.clusters, hosts: s.hosts}
}

// matchesAny reports whether a name matches one of the patterns; no patterns match every name.
func matchesAny(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return filter.Glob(p, name) })
}
