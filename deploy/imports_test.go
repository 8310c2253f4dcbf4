package deploy

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "telemetry-pipeline/"

// arrows says who may import whom of ours: an allow list. A new arrow is an edit here, in the same
// commit as the import, with its reason beside it.
//
//	package: what it may import
const arrows = `
events:
events/eventlog:      events
events/wait:
events/metric:        events
events/archive:       events
events/archive/manifest: events events/eventlog events/archive
events/archive/archivetest:
events/eventstest:    events events/eventlog
events/eventstest/model:
projections:          events events/metric
projections/snapshot: events events/eventlog projections

ingestd/rows:
ingestd/dialect:      events events/metric ingestd/rows
ingestd/dialect/dialecttest: events events/metric ingestd/rows ingestd/dialect
ingestd/dcgmlong:     events events/metric ingestd/rows ingestd/dialect
ingestd/wide:         events events/metric ingestd/rows ingestd/dialect
ingestd/fleetint:     events events/metric ingestd/rows ingestd/dialect
ingestd/grafana:      events events/metric ingestd/rows ingestd/dialect
ingestd/dcgmdmon:     events events/metric ingestd/rows ingestd/dialect
ingestd/scrape:       events events/metric ingestd/rows ingestd/dialect
ingestd/smidmon:      events events/metric ingestd/rows ingestd/dialect
ingestd/smiquery:     events events/metric ingestd/rows ingestd/dialect
ingestd/smiapps:      events events/metric ingestd/rows ingestd/dialect
ingestd/spool:        events
ingestd/uploads:      events events/eventlog
ingestd/answer:       events
ingestd/intake:       ingestd/answer ingestd/unpack
ingestd/pipeline:     events events/eventlog events/wait ingestd/answer ingestd/intake ingestd/unpack ingestd/rows ingestd/dialect ingestd/dcgmlong ingestd/dcgmdmon ingestd/scrape ingestd/smidmon ingestd/smiquery ingestd/smiapps ingestd/wide ingestd/grafana ingestd/fleetint
ingestd/pipeline/pipelinetest: events events/eventlog events/eventstest
ingestd/jobs:         events/wait ingestd/answer ingestd/intake ingestd/pipeline ingestd/spool ingestd/uploads
ingestd/ingest:       events events/eventlog events/wait ingestd/answer ingestd/intake ingestd/pipeline ingestd/jobs ingestd/unpack ingestd/spool ingestd/uploads
ingestd/unpack:
ingestd/upload:
ingestd/watch:        ingestd/upload ingestd/rows
ingestd:              deploy/daemon events/eventlog projections/snapshot ingestd/ingest ingestd/upload ingestd/watch ingestd/uploads

collectd/partition:   events events/eventlog
collectd/retain:      events events/eventlog events/archive events/archive/manifest projections projections/snapshot
collectd/foreign:     events events/eventlog ingestd/rows ingestd/dialect ingestd/dcgmlong ingestd/wide
collectd/collect:     events events/eventlog events/archive events/archive/manifest projections projections/snapshot collectd/partition collectd/retain collectd/foreign
collectd/rebuild:     events events/eventlog events/archive events/archive/manifest projections projections/snapshot collectd/partition
collectd/filter:      events events/metric
collectd/tail:        events events/eventlog collectd/filter
collectd/restored:    events/eventlog projections/snapshot
collectd/carry:       events events/eventlog events/archive events/metric collectd/filter
collectd:             deploy/daemon events events/eventlog events/archive events/archive/manifest collectd/collect collectd/rebuild collectd/retain collectd/tail collectd/carry collectd/restored

queryd/live:          events projections
queryd/live/livetest: events projections
queryd/history:       events events/metric events/archive projections queryd/live
queryd/journal:       events
queryd/rest:          events events/metric projections queryd/live queryd/history queryd/journal
queryd/graph:         events events/metric projections queryd/live queryd/history
queryd/socket:        events projections queryd/live
queryd/query:         events events/archive events/archive/manifest projections projections/snapshot queryd/live queryd/history queryd/journal queryd/rest queryd/graph queryd/socket
queryd:               deploy/daemon events/eventlog events/archive events/archive/manifest projections/snapshot queryd/query

deploy/daemon:
deploy/chaos:         events events/eventlog projections projections/snapshot
deploy/simulation:
deploy/week:          deploy/fleet ingestd/upload
deploy/fleet:
deploy/standalone:    deploy/daemon deploy/fleet events events/eventlog events/archive events/archive/manifest projections/snapshot ingestd/ingest collectd/collect queryd/query ingestd/uploads
deploy:
`

// edges says which packages may touch a library that shapes the code around it, so that it can be
// judged or replaced there alone.
var edges = []struct {
	library, reason string
	packages        []string
}{
	{"go.etcd.io/etcd/server", "only standalone and tests run a server",
		[]string{"events/eventstest", "deploy/standalone"}},
	{"go.etcd.io/etcd/client", "etcd is met where its transactions are written",
		[]string{"events/eventlog", "events/eventstest", "events/eventstest/model", "events/archive/manifest", "projections/snapshot", "collectd/partition", "collectd/collect", "collectd/foreign", "collectd/rebuild", "collectd/retain", "ingestd/uploads", "deploy/standalone", "deploy/chaos"}},
	{"github.com/gofiber/fiber", "HTTP ends at the surfaces",
		[]string{"ingestd/ingest", "queryd/rest", "queryd/socket", "queryd/query"}},
	{"github.com/valyala/fasthttp", "HTTP ends at the surfaces",
		[]string{"ingestd/ingest", "queryd/rest", "queryd/socket", "queryd/query"}},
	{"github.com/gofiber/contrib/websocket", "sockets are one package's business", []string{"queryd/socket"}},
	{"github.com/fasthttp/websocket", "sockets are one package's business, and a client's", []string{"queryd/socket", "deploy/chaos"}},
	{"github.com/graphql-go/graphql", "the library's hazards stay behind one guard", []string{"queryd/graph"}},
	{"golang.org/x/text", "what is UTF-16 becomes UTF-8 where text is first looked at", []string{"ingestd/rows"}},
	{"github.com/prometheus/prometheus", "their parsers know their text formats; nothing else of theirs is used",
		[]string{"ingestd/scrape"}},
	{"github.com/hashicorp/go-multierror", "sets of errors: rows of a file, parts at shutdown",
		[]string{"ingestd/ingest", "deploy/daemon"}},
	{"github.com/parquet-go/parquet-go", "what archived objects are made of is one package's business", []string{"events/archive"}},
	{"gocloud.dev", "object storage is one package's business", []string{"events/archive"}},
	{"github.com/klauspost/compress", "stored bytes are known where they are written, and to who checks them by their description",
		[]string{"events", "projections/snapshot", "deploy/chaos", "ingestd/unpack"}},
	{"filippo.io/age", "what was encrypted for us is opened where bounds are kept", []string{"ingestd/unpack"}},
}

// pure are the packages that must work without a store: what they import, and what that imports in turn, has no etcd
// client and no gRPC in it.
var pure = []string{
	"events", "events/metric", "projections",
	"ingestd/rows", "ingestd/dialect", "ingestd/dcgmlong", "ingestd/dcgmdmon", "ingestd/fleetint", "ingestd/grafana", "ingestd/scrape",
	"ingestd/smiapps", "ingestd/smidmon", "ingestd/smiquery", "ingestd/wide", "ingestd/unpack", "ingestd/spool", "ingestd/upload", "ingestd/watch", "ingestd/answer", "ingestd/intake",
	"collectd/filter", "queryd/live", "queryd/socket", "queryd/journal",
}

// goPackage is what go list tells of a package.
type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	allowed := parseArrows(t)
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		may, known := allowed[name]
		if !known {
			t.Errorf("package %s is not in the table: add a line that says what it may import, and why it exists", name)
			continue
		}
		for _, imported := range p.Imports {
			if ours, found := strings.CutPrefix(imported, module); found && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s, which the table does not allow", name, ours)
			}
		}
	}
}

func TestLibrariesStayAtTheirEdges(t *testing.T) {
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, edge := range edges {
			touches := slices.ContainsFunc(p.Imports, func(i string) bool { return strings.HasPrefix(i, edge.library) })
			if touches && !slices.Contains(edge.packages, name) {
				t.Errorf("%s imports %s, which only %v may: %s", name, edge.library, edge.packages, edge.reason)
			}
		}
	}
}

func TestPurePackagesLinkNoStore(t *testing.T) {
	for _, name := range pure {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+name).Output()
		if err != nil {
			t.Fatalf("listing the dependencies of %s: %v", name, err)
		}
		for dependency := range strings.FieldsSeq(string(out)) {
			if strings.HasPrefix(dependency, "go.etcd.io/") || strings.HasPrefix(dependency, "google.golang.org/grpc") {
				t.Errorf("%s links %s: move what needs it to a package that may, such as events/eventlog", name, dependency)
			}
		}
	}
}

func TestEveryDialectIsPure(t *testing.T) {
	for name, may := range parseArrows(t) {
		if strings.HasPrefix(name, "ingestd/") && slices.Contains(may, "ingestd/dialect") && name != "ingestd/pipeline" && !strings.HasSuffix(name, "test") && !slices.Contains(pure, name) {
			t.Errorf("%s reads a dialect and is not in the list of pure packages: add it there", name)
		}
	}
}

func parseArrows(t *testing.T) map[string][]string {
	t.Helper()
	table := map[string][]string{}
	for line := range strings.Lines(arrows) {
		name, may, found := strings.Cut(line, ":")
		if found {
			table[name] = strings.Fields(may)
		}
	}
	return table
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
