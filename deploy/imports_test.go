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
// The upload server bounds hosts by the rules and the sizes of the folds, so that what it accepts can be folded: it knows
// projections, and reads them.
//
// The build of a program is read in one place, events/build, and shown by status answers, --version and a metric.
//
// Secrets are left out of logs by one package, events/redact: the log of a process and the audit log's file are made in two.
//
// The users of etcd get rights by key ranges: collectd/etcdusers knows the range of the log, and of the one kind of key that
// queryd writes, which is of projections/snapshot.
// What a sender may upload is checked where records are, in the pipeline, and jobs keep it with the uploads of the background.
//
// The packages named program are their commands apart from package main, which nothing can import: the tests of deploy
// run as them.
//
// Listeners and their certificates are one package of events, since the servers of all three daemons and the admin listener of
// every process need them, and none of these may import another. The clients of two daemons share events/caller for the same
// reason; it asks events/listen which hosts are loopback, so that both ends mean the same by it.
// Every reader of queryd serves the part of the telemetry that a scope selects: it knows events/access.
//
// Pages of history over several clusters are merged in queryd/cells, which knows neither HTTP nor etcd.
//
// Spans are recorded with events/trace by the packages that take in, append, fold, save and push. It knows only OpenTelemetry's API:
// fiber is in events/trace/fibertrace, the sender of spans in events/trace/otlp, which the daemon opens.
//
// deploy/accessmatrix has tests alone, in a binary of their own: they take the time of many requests, and run beside the tests of deploy.
//
//	package: the packages that it may import
const arrows = `
events:
events/wait:
events/follow:        events events/wait
events/cache:
events/listen:        events/wait
events/listen/listentest:
events/build:
events/redact:
events/caller:         events/listen

events/trace:         events
events/trace/fibertrace: events/trace
events/trace/otlp:    events/trace
events/trace/otlp/otlptest:
events/etcd:          events/wait
events/eventlog:      events events/etcd events/trace
events/metric:        events
events/filter:        events events/metric
events/access:        events events/filter events/wait events/redact events/access/issuer
events/access/issuer: events/wait
events/access/accesstest:
events/access/fiberguard: events/access
events/archive:       events events/cache
events/archive/manifest: events events/etcd events/eventlog events/archive
events/archive/archivetest:
events/eventstest:    events events/eventlog events/trace

events/goldentest:
events/eventstest/model:
projections:          events
projections/projectionstest: events projections
projections/snapshot: events events/cache events/eventlog projections events/etcd events/wait events/trace

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
ingestd/uploads:      events events/eventlog events/wait
ingestd/ingest:        events events/build events/eventlog ingestd/unpack ingestd/spool ingestd/uploads events/wait ingestd/answer ingestd/bounds ingestd/intake ingestd/jobs ingestd/pipeline projections projections/snapshot events/listen events/access events/access/fiberguard events/trace events/trace/fibertrace

ingestd/answer:       events
ingestd/bounds:       events projections
ingestd/intake:       ingestd/answer ingestd/unpack
ingestd/pipeline:     events events/access events/eventlog events/wait projections ingestd/answer ingestd/bounds ingestd/intake ingestd/unpack ingestd/rows ingestd/dialect ingestd/dcgmlong ingestd/dcgmdmon ingestd/scrape ingestd/smidmon ingestd/smiquery ingestd/smiapps ingestd/wide ingestd/grafana ingestd/fleetint
ingestd/pipeline/pipelinetest: events events/eventlog events/eventstest projections projections/snapshot
ingestd/jobs:         events events/access events/wait ingestd/answer ingestd/intake ingestd/pipeline ingestd/spool ingestd/uploads events/trace
ingestd/unpack:
ingestd/upload:       events/wait events/caller
ingestd/watch:        ingestd/upload ingestd/rows
ingestd:              ingestd/program

ingestd/program:      deploy/daemon events/caller projections/snapshot ingestd/ingest ingestd/upload ingestd/watch ingestd/uploads events/eventlog

collectd/partition:   events events/eventlog events/etcd events/wait
collectd/retain:      events events/eventlog events/archive events/archive/manifest events/wait projections projections/snapshot
collectd/foreign:     events events/eventlog events/follow events/wait ingestd/rows ingestd/dialect ingestd/dcgmlong ingestd/wide
collectd/collect:     events events/eventlog events/archive events/archive/manifest events/follow events/wait projections projections/snapshot collectd/partition collectd/retain collectd/foreign events/trace

collectd/rebuild:     events events/eventlog events/archive events/archive/manifest projections projections/snapshot collectd/partition
collectd/tail:        events events/eventlog events/follow events/wait events/filter
collectd/rebase:      events/eventlog projections/snapshot
collectd/backup:      events/eventlog
collectd/etcdusers:   events/etcd events/eventlog projections/snapshot
collectd/transfer:    events events/eventlog events/archive events/metric events/filter
collectd/join:        events events/eventlog events/filter events/wait
collectd:             collectd/program

collectd/program:     deploy/daemon events events/archive events/archive/manifest collectd/backup collectd/collect collectd/etcdusers collectd/rebuild collectd/retain collectd/tail collectd/transfer collectd/join collectd/rebase events/eventlog projections/snapshot

queryd/live:          events events/access events/follow events/wait projections events/filter events/trace

queryd/live/livetest: events projections
queryd/history:       events events/access events/metric events/archive projections queryd/live
queryd/history/historytest: events projections
queryd/journal:       events events/access events/filter
queryd/cells:         projections queryd/live queryd/history
queryd/coding:
queryd/rest:           events events/metric projections queryd/coding queryd/live queryd/history queryd/journal queryd/cells events/access
queryd/graph:          events events/metric events/wait projections queryd/live queryd/history queryd/cells events/access events/trace
queryd/socket:         events events/wait projections queryd/live events/access events/access/fiberguard events/trace
queryd/query:          events events/build events/wait queryd/cells events/cache events/archive events/archive/manifest projections projections/snapshot queryd/coding queryd/live queryd/history queryd/journal queryd/rest queryd/graph queryd/socket events/listen events/access events/access/fiberguard events/trace events/trace/fibertrace
queryd:               queryd/program

queryd/program:        queryd/cells deploy/daemon events/access events/archive events/archive/manifest projections/snapshot queryd/query events/eventlog queryd/subscribe events/caller
queryd/subscribe:      events/wait events/caller

deploy/daemon:         events/build events/listen events/access events/redact events/trace events/trace/otlp
deploy/chaos:         events events/eventlog events/wait projections projections/snapshot
deploy/simulation:
deploy/accessmatrix:
deploy/observe:
deploy/week:          events/wait deploy/fleet deploy/measure ingestd/upload
deploy/fleet:
deploy/measure:       events/wait
deploy/soak:          deploy/fleet deploy/measure
deploy/peers:         events/eventlog events/wait deploy/fleet deploy/measure ingestd/upload
deploy/standalone:    deploy/standalone/program
deploy/helm:

deploy/standalone/program: deploy/daemon deploy/fleet events events/archive events/archive/manifest projections/snapshot ingestd/ingest collectd/collect queryd/query ingestd/uploads events/eventlog events/access
deploy:
`

// edges says which packages may touch a library that shapes the code around it, so that it can be
// judged or replaced there alone.
var edges = []struct {
	library, reason string
	packages        []string
}{
	{"go.etcd.io/etcd/server", "only standalone and tests run a server",
		[]string{"events/eventstest", "deploy/standalone/program"}},
	{"go.etcd.io/etcd/client", "clients, retries and watches are events/etcd; transactions are written where their keys are known",
		[]string{"events/etcd", "events/eventlog", "events/eventstest", "events/eventstest/model", "events/archive/manifest", "projections/snapshot", "collectd/partition", "collectd/collect", "collectd/etcdusers", "collectd/foreign", "collectd/rebuild", "collectd/retain", "ingestd/uploads", "deploy/standalone/program", "deploy/chaos", "deploy/peers"}},
	{"github.com/gofiber/fiber", "HTTP ends at the surfaces",
		[]string{"events/access/fiberguard", "events/trace/fibertrace", "ingestd/ingest", "queryd/coding", "queryd/rest", "queryd/socket", "queryd/query"}},
	{"github.com/valyala/fasthttp", "HTTP ends at the surfaces",
		[]string{"events/access/fiberguard", "ingestd/ingest", "queryd/query"}},
	{"github.com/coreos/go-oidc", "tokens of an issuer are one package's business", []string{"events/access/issuer"}},
	{"github.com/go-jose/go-jose", "tokens of an issuer are one package's business, and its tests'", []string{"events/access/issuer", "events/access/accesstest"}},
	{"gopkg.in/natefinch/lumberjack", "the audit log's file has a bound", []string{"events/access"}},
	{"github.com/gofiber/contrib/websocket", "sockets are one package's business", []string{"queryd/socket"}},
	{"github.com/fasthttp/websocket", "sockets are one package's business, and its clients'", []string{"queryd/socket", "queryd/subscribe", "deploy/chaos", "deploy/measure", "deploy/peers"}},
	{"github.com/graphql-go/graphql", "the library's hazards stay behind one guard", []string{"queryd/graph"}},
	{"golang.org/x/text", "what is UTF-16 becomes UTF-8 where text is first looked at", []string{"ingestd/rows"}},
	{"github.com/prometheus/prometheus", "their parsers know their text formats; nothing else of theirs is used",
		[]string{"ingestd/scrape"}},
	{"github.com/hashicorp/go-multierror", "sets of errors: rows of a file, parts at shutdown",
		[]string{"ingestd/ingest", "deploy/daemon"}},
	{"github.com/parquet-go/parquet-go", "what archived objects are made of is one package's business", []string{"events/archive"}},
	{"github.com/maypok86/otter", "what is kept in memory by size is one package's business", []string{"events/cache"}},
	{"gocloud.dev", "object storage is one package's business", []string{"events/archive"}},
	{"github.com/klauspost/compress", "stored bytes are known where they are written, and to who checks them by their description",
		[]string{"events", "events/archive", "projections/snapshot", "deploy/chaos", "ingestd/unpack", "queryd/coding"}},
	{"go.opentelemetry.io/otel", "spans are one package's business; its sender, its middleware and the error handler of a process are apart",
		[]string{"events/trace", "events/trace/fibertrace", "events/trace/otlp", "deploy/daemon", "events/eventstest"}},
	{"go.opentelemetry.io/proto", "the library writes what is sent; a test's receiver reads it", []string{"events/trace/otlp/otlptest"}},
	{"helm.sh/helm", "charts are rendered by tests of deploy/helm alone", nil},
	{"filippo.io/age", "what was encrypted for us is opened where bounds are kept", []string{"ingestd/unpack"}},
}

// pure are the packages that must work without a store: among all packages that they import, directly or not, is no etcd
// client and no gRPC.
var pure = []string{
	"events", "events/trace", "events/metric", "events/wait", "events/follow", "events/filter", "events/listen", "events/caller", "projections",
	"ingestd/rows", "ingestd/dialect", "ingestd/dcgmlong", "ingestd/dcgmdmon", "ingestd/fleetint", "ingestd/grafana", "ingestd/scrape",
	"ingestd/smiapps", "ingestd/smidmon", "ingestd/smiquery", "ingestd/wide", "ingestd/unpack", "ingestd/spool", "ingestd/upload", "ingestd/watch",
	"ingestd/answer", "ingestd/bounds", "ingestd/intake",
	"queryd/live", "queryd/socket", "queryd/journal", "queryd/subscribe",
}

// goPackage is a package in the output of go list.
type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string // transitive
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	left := slices.Clone(pure)
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		at := slices.Index(left, name)
		if at < 0 {
			continue
		}
		left = slices.Delete(left, at, at+1)
		for _, dependency := range p.Deps {
			if strings.HasPrefix(dependency, "go.etcd.io/") || strings.HasPrefix(dependency, "google.golang.org/grpc") {
				t.Errorf("%s links %s: move what needs it to a package that may, such as events/eventlog", name, dependency)
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("there are no packages %v, which the list of pure packages names", left)
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
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
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
