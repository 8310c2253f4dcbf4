package daemon

import (
	"flag"
	"slices"
)

// flagGroup is a number of flags under one heading of a help text; without a name there is no heading.
type flagGroup struct {
	name  string
	flags []*flag.Flag
}

// advanced is the heading of the flags that no group of firstFlags names.
const advanced = "Advanced"

// firstFlags returns the flags that people set first when they run a process, by group, in the order of help texts.
// A process shows the ones that it has.
func firstFlags() []struct {
	group string
	names []string
} {
	return []struct {
		group string
		names []string
	}{
		{"Data", []string{"data-dir", "demo", "archive.url", "archive-days", "retention-days", "hot.window", "upload-dir", "partition.data-dir"}},
		{"Addresses", []string{"port", "query.host", "http.port", "http.host", "admin.port", "admin.host"}},
		{"etcd", []string{"etcd.endpoints", "etcd.ca", "etcd.cert", "etcd.key", "etcd.username", "etcd.password", "cluster.id"}},
		{"Surfaces", []string{"enable-http", "enable-graphql", "enable-websocket", "enable-cors", "access.origins"}},
		{"Access", []string{"access.file", "access.open", "oidc.issuer", "oidc.audience", "tls.cert", "tls.key", "tls.client-ca", "trusted-proxies", "access.audit", "access.hosts"}},
		{"Uploads", []string{"max-upload-size", "max-memory", "ingest.tz", "ingest.age-identity"}},
		{"Traces", []string{"otel.exporter.otlp.endpoint", "otel.exporter.otlp.traces.endpoint", "otel.exporter.otlp.protocol", "otel.exporter.otlp.traces.protocol", "otel.traces.exporter", "otel.traces.sampler", "otel.traces.sampler.arg", "otel.sdk.disabled"}},
		{"Process", []string{"workers", "log.level", "log.format"}},
	}
}

// groupFlags returns the flags of a process: the groups of firstFlags, then the others.
func groupFlags(fs *flag.FlagSet) []flagGroup {
	var groups []flagGroup
	var grouped []string
	for _, first := range firstFlags() {
		g := flagGroup{name: first.group}
		for _, name := range first.names {
			if f := fs.Lookup(name); f != nil {
				g.flags = append(g.flags, f)
				grouped = append(grouped, name)
			}
		}
		if len(g.flags) > 0 {
			groups = append(groups, g)
		}
	}
	rest := slices.DeleteFunc(allFlags(fs), func(f *flag.Flag) bool { return slices.Contains(grouped, f.Name) })
	if len(rest) > 0 {
		groups = append(groups, flagGroup{name: advanced, flags: rest})
	}
	return groups
}

// allFlags returns the flags that have a usage text, by name. The others are for the project's own tools.
func allFlags(fs *flag.FlagSet) []*flag.Flag {
	var all []*flag.Flag
	fs.VisitAll(func(f *flag.Flag) {
		if f.Usage != "" {
			all = append(all, f)
		}
	})
	return all
}
