package deploy

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	dialects "telemetry-pipeline/ingestd/pipeline"
)

// labelRule is a label that metrics of some names may have, with its values.
type labelRule struct {
	label, meaning   string
	metrics, allowed *regexp.Regexp
	most             int // different values in one program
}

// labelRules returns the allow-list of labels. A label that has no rule for its metric, or another value, fails the test.
func labelRules() []labelRule {
	var names []string
	for _, g := range dialects.Grammars() {
		names = append(names, g.Name)
	}
	rule := func(label, metrics, allowed string, most int, meaning string) labelRule {
		return labelRule{label, meaning, regexp.MustCompile("^telemetry_(" + metrics + ")$"), regexp.MustCompile("^(" + allowed + ")$"), most}
	}
	const word = "[a-z]+(_[a-z]+)*"
	return []labelRule{
		rule("cache", "history_cache_.*", word, 4, "a cache of history"),
		rule("cause", "partition_claims_ended_total", word, 4, "lost, moved, stopping or returned"),
		rule("cause", "socket_closed_total", `[14]\d{3}|gone|stuck`, 16, "the close code that was sent, gone or stuck"),
		rule("certificate", "etcd_certificate_expiry_seconds", "client|authority", 2, "client or authority"),
		rule("cluster", "(live|history|snapshot|graph|query|etcd)_.*", "north", 1, "with `-query.cells`, the name of a cluster of that file; as many as it has"),
		rule("code", "access_refusals_total", word, 7, "why a caller was refused: a code of [SECURITY.md](SECURITY.md)"),
		rule("dialect", "ingest_dialect_rows_total", strings.Join(names, "|"), len(names), "a dialect of [FORMATS.md](FORMATS.md)"),
		rule("direction", "socket_messages_total", "in|out", 2, "in or out"),
		rule("goversion", "build_info", `go\d.*`, 1, "of the program"),
		rule("mode", "live_subscribers", "latest|events", 2, "latest or events"),
		rule("operation", "graph_operations_total", word, 4, "query, mutation, subscription or unknown"),
		rule("part", "ready|degraded", "[a-z-]+", 12, "a part of the program, as `/ready` names it"),
		rule("partition", "retain_archive_(entries|head_revision)", `\d{1,5}`, 64, "a partition owned here, of the 64 or as many as the log was made with"),
		rule("protocol", "socket_.*", `gpu\.live\.v1|graphql-transport-ws`, 2, "gpu.live.v1 or graphql-transport-ws"),
		rule("reason", "ingest_refused_total", word, 20, "a code of [UPLOADS.md](UPLOADS.md) that comes with a time to retry"),
		rule("reason", "collect_quarantined_events_total|live_resets_total|socket_refused_total", word, 6, "why: of a failed fold, of a reset, or of a refused connection"),
		rule("result", "(collect|graph|ingest|snapshot)_.*", word, 4, "of the thing counted; the metric's line names them"),
		rule("revision", "build_info", "[0-9a-z+.-]*", 1, "of the program"),
		rule("route", "query_request(s_total|_seconds)", `none|/([a-z0-9_./-]|:[a-z]+|\*)*`, 64, "a route's template, such as `/api/v1/gpus/:id`; none for a path without one"),
		rule("status", "(ingest_uploads|query_requests)_total", `[1-5]\d\d`, 24, "an HTTP status"),
		rule("status", "ingest_upload_seconds", `[2-5]xx`, 4, "the class of an HTTP status"),
		rule("step", "retain_object_seconds", "write|merge", 2, "write or merge"),
		rule("version", "build_info", ".+", 1, "of the program"),
	}
}

// ruleFor returns the rule of a metric's label.
func ruleFor(rules []labelRule, metric, label string) *labelRule {
	for i := range rules {
		if rules[i].label == label && rules[i].metrics.MatchString(metric) {
			return &rules[i]
		}
	}
	return nil
}

// checkSeriesDoNotGrow uses every program with names that nobody expects, twice with other names each time and more of them: the second time
// no program has a series that it did not have the first time, and each label is one of the rules.
func checkSeriesDoNotGrow(t *testing.T, r *metricsRig) {
	r.sendHostile(t, "first", 3)
	series := map[string][]string{}
	for name := range r.admins {
		series[name] = seriesOf(r.families(t, name))
	}
	r.sendHostile(t, "second", 40)
	for name := range r.admins {
		families := r.families(t, name)
		if diff := cmp.Diff(series[name], seriesOf(families)); diff != "" {
			t.Errorf("series of %s grow with other names (-first +second):\n%s", name, diff)
		}
		if text := strings.ToLower(r.scrape(t, name)); strings.Contains(text, "hostile") {
			t.Errorf("metrics of %s contain a name that a client sent: %.300s", name, text[strings.Index(text, "hostile")-200:])
		}
		checkLabels(t, name, families)
	}
}

// checkLabels checks each label of our metrics against its rule.
func checkLabels(t *testing.T, program string, families map[string]*dto.MetricFamily) {
	t.Helper()
	rules := labelRules()
	for name, f := range families {
		values := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(values[l.GetName()], l.GetValue()) {
					values[l.GetName()] = append(values[l.GetName()], l.GetValue())
				}
			}
		}
		for label, all := range values {
			rule := ruleFor(rules, name, label)
			switch {
			case !isOurs(name):
			case rule == nil:
				t.Errorf("%s: %s has a label %s, for which there is no rule: values that clients choose must not become series", program, name, label)
			case len(all) > rule.most:
				t.Errorf("%s: %s has %d values of %s, at most are %d: %q", program, name, len(all), label, rule.most, all)
			default:
				for _, v := range all {
					if !rule.allowed.MatchString(v) {
						t.Errorf("%s: %s has %s=%q, the rule is %s", program, name, label, v, rule.allowed)
					}
				}
			}
		}
	}
}

// seriesOf returns the names and labels of our series, sorted.
func seriesOf(families map[string]*dto.MetricFamily) []string {
	var all []string
	for name, f := range families {
		for _, m := range f.GetMetric() {
			if isOurs(name) {
				all = append(all, name+fmt.Sprint(m.GetLabel()))
			}
		}
	}
	slices.Sort(all)
	return all
}

// sendHostile uploads, asks and connects with n names that no program has seen, wherever a client chooses a name. The same requests for each
// word are answered with the same statuses.
func (r *metricsRig) sendHostile(t *testing.T, word string, n int) {
	t.Helper()
	long := strings.Repeat("hostile-"+word+"-", 40)
	for _, base := range r.uploads {
		status, text := r.upload(t, base, "?wait=true", "hostile \" \n é "+long+".csv", nil, hostileFile(word, n))
		if status != http.StatusOK {
			t.Fatalf("hostile upload to %s: %d %.500s", base, status, text)
		}
		for i := range n {
			header := http.Header{"X-Request-Id": {fmt.Sprintf("hostile-%s-%d", word, i)}, "User-Agent": {long}, "Authorization": {"Bearer hostile-" + word}}
			r.upload(t, base, fmt.Sprintf("?dialect=hostile-%s-%d", word, i), "hostile", header, hostileFile(word, 1))
			r.upload(t, base, fmt.Sprintf("?hostile-%s-%d=1", word, i), "hostile", nil, hostileFile(word, 1))
			r.upload(t, base, "", fmt.Sprintf("hostile-%s-%d.xlsx", word, i), nil, []byte("hostile"))
			r.fetch(t, http.MethodGet, fmt.Sprintf("%s/api/v1/uploads/hostile-%s-%d", base, word, i), nil, nil)
			r.fetch(t, http.MethodGet, fmt.Sprintf("%s/hostile-%s-%d", base, word, i), nil, nil)
			r.fetch(t, http.MethodPost, base+"/api/v1/csv/upload", http.Header{"Origin": {fmt.Sprintf("https://hostile-%s-%d.example", word, i)}}, nil)
		}
	}
	for _, base := range r.queries {
		for i := range n {
			name := fmt.Sprintf("hostile-%s-%d", word, i)
			for _, path := range []string{
				"/" + name, "/api/v1/" + name, "/api/v1/gpus/" + name, "/api/v1/gpus/" + name + "/telemetry", "/api/v1/hosts?host=" + name,
				"/api/v1/telemetry?host=" + name + "*", "/api/v1/telemetry?metric=" + name, "/api/v1/gpus?cluster=" + name, "/api/v1/gpus?" + name + "=1",
				"/graphql?query=" + url.QueryEscape("query "+strings.ReplaceAll(name, "-", "_")+"{gpus{nodes{id}}}"),
			} {
				r.fetch(t, http.MethodGet, base+path, http.Header{"X-Request-Id": {name}, "X-Correlation-Id": {name}}, nil)
			}
			r.fetch(t, "HOSTILE"+strings.ToUpper(word), base+"/api/v1/gpus", nil, nil)
			r.fetch(t, http.MethodPost, base+"/graphql", http.Header{"Content-Type": {"application/json"}},
				strings.NewReader(fmt.Sprintf(`{"query":"mutation %s{hostile}","operationName":"%[1]s"}`, strings.ReplaceAll(name, "-", "_"))))
			r.fetch(t, http.MethodGet, base+"/ws", http.Header{
				"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
				"Sec-Websocket-Key": {"aG9zdGlsZS1ob3N0aWxlLQ=="}, "Sec-Websocket-Protocol": {name}, "Origin": {"https://" + name + ".example"},
			}, nil)
		}
	}
	for _, base := range r.admins {
		r.fetch(t, http.MethodGet, base+"/hostile-"+word, nil, nil)
	}
}

// hostileFile is an export of n hosts whose every text is of the word.
func hostileFile(word string, n int) []byte {
	var b strings.Builder
	b.WriteString("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n")
	for i := range n {
		name := fmt.Sprintf("hostile-%s-%d", word, i)
		fmt.Fprintf(&b, `2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-%s,%[1]s,%[1]s,%[1]s,%[1]s,%[1]s,%d,"cluster=""%[1]s"",job=""%[1]s"""`+"\n", name, i)
	}
	return []byte(b.String())
}
