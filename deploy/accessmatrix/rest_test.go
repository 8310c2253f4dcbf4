package accessmatrix

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events/access"
)

// route is a route of queryd, the right that it needs, and the requests that are sent to it. In them stand HOST and GPU for the names
// of a host and of one of its GPUs, EVENT and QUARANTINED for the keys of events of the host and UPLOAD for its upload, TIME for an instant an hour ago,
// and CURSOR for the next page of a principal that sees everything.
type route struct {
	need     access.Right
	requests []string
}

// queryRoutes returns the routes of queryd as the table knows them.
func queryRoutes() map[string]route {
	history := []string{"", "?limit=2", "?limit=1000", "?step=1h", "?step=30m&agg=count,avg", "?form=columns", "?form=columns&step=1h&group=cluster", "?form=columns&step=1h&group=cluster&agg=sum,max",
		"?form=columns&step=1h&group=host", "?form=columns&step=1h&group=model", "?form=columns&step=1h&group=label:job", "?form=columns&step=1h&group=label:pod", "?form=columns&limit=5", "?format=csv",
		"?form=columns&format=csv", "?format=ndjson", "?order=asc&limit=2", "?metric=" + foreignMetric, "?explain=true", "?start_time=now-1d&end_time=TIME", "?limit=2&cursor=CURSOR", "?wait=1"}
	return map[string]route{
		"GET /api/v1/clusters":  {access.Read, []string{""}},
		"GET /api/v1/gpus":      {access.Read, []string{"", "?limit=1", "?host_id=HOST", "?as_of=TIME", "?status=active", "?wait=1"}},
		"GET /api/v1/gpus/{id}": {access.Read, []string{"/GPU", "/HOST:0", "/HOST:1", "/HOST:GPU", "/HOST:" + sharedUUID, "/GPU?as_of=TIME", "/" + sharedUUID, "/" + sharedUUID + "?as_of=now-4h", "/GPU?wait=1"}},
		"GET /api/v1/gpus/{id}/telemetry": {access.Read, slices.Concat(prefixed("/GPU/telemetry", history), prefixed("/"+sharedUUID+"/telemetry", history),
			[]string{"/HOST:0/telemetry", "/HOST:" + sharedUUID + "/telemetry"})},
		"GET /api/v1/hosts":                 {access.Read, []string{"", "?limit=1", "?as_of=TIME", "?status=active", "?wait=1"}},
		"GET /api/v1/hosts/{hostname}":      {access.Read, []string{"/HOST", "/HOST?as_of=TIME", "/HOST?wait=1"}},
		"GET /api/v1/hosts/{hostname}/gpus": {access.Read, []string{"/HOST/gpus", "/HOST/gpus?as_of=TIME", "/HOST/gpus?status=active", "/HOST/gpus?limit=1", "/HOST/gpus?wait=1"}},
		"GET /api/v1/telemetry": {access.Read, slices.Concat(history, []string{"?host_id=HOST", "?gpu_id=GPU", "?gpu_id=HOST:0", "?gpu_id=" + sharedUUID, "?host_id=HOST,own-1",
			"?form=columns&host_id=HOST", "?host_id=HOST&explain=true", "?host_id=HOST&gpu_id=0", "?host_id=HOST&step=1h", "?gpu_id=GPU&format=csv"})},
		"GET /api/v1/telemetry/latest": {access.Read, []string{"", "?host_id=HOST", "?gpu_id=GPU", "?limit=1", "?metric=" + foreignMetric, "?as_of=TIME", "?wait=1"}},
		"GET /api/v1/cluster":          {access.Read, []string{"", "?as_of=TIME", "?wait=1"}},
		"GET /api/v1/events": {access.Read, []string{"", "?limit=1", "?host_id=HOST", "?gpu_id=GPU", "?key=EVENT", "?key=EVENT&records=true", "?key=QUARANTINED", "?key=QUARANTINED&records=true", "?records=true", "?partition=0", "?partition=1", "?partition=2", "?partition=3",
			"?damaged=true", "?order=asc&limit=1", "?upload_id=UPLOAD", "?metric=" + foreignMetric, "?after=1", "?before=1000000", "?limit=1&cursor=CURSOR"}},
		"GET /api/v1/quarantine":        {access.Read, []string{"", "?host_id=HOST", "?limit=1", "?partition=0", "?partition=1", "?partition=2", "?partition=3"}},
		"POST /api/v1/quarantine/retry": {access.Administer, []string{"?key=QUARANTINED", "?key=EVENT", "?partition=0", "?partition=1", "?partition=2", "?partition=3", ""}},
		"POST /api/v1/csv/upload":       {access.Public, []string{"", "?wait=true"}},
		"GET /api/v1/status":            {access.Read, []string{""}},
		"GET /health":                   {access.Public, []string{""}},
		"GET /ready":                    {access.Public, []string{""}},
		"GET /graphql": {access.Read, []string{"?query=%7Bhosts%7Bname%7D%7D", "?query=%7Bhost(name:%22HOST%22)%7Bname%7D%7D",
			"?query=query+q%7Bhosts%7Bname%7D%7D&operationName=q&variables=%7B%7D&extensions=%7B%7D"}},
		"POST /graphql":     {access.Read, []string{""}}, // see graphql_test.go
		"GET /ws":           {access.Read, []string{""}}, // see live_test.go
		"GET /openapi.json": {access.Public, []string{""}},
		"GET /openapi.yaml": {access.Public, []string{""}},
		"GET /docs":         {access.Public, []string{""}},
		"GET /docs/{file}":  {access.Public, []string{"/nothing.js"}},
		"GET /":             {access.Public, []string{""}},
	}
}

// prefixed returns texts with a prefix.
func prefixed(prefix string, texts []string) []string {
	all := make([]string, 0, len(texts))
	for _, text := range texts {
		all = append(all, prefix+text)
	}
	return all
}

// description is the part of an OpenAPI document that the test reads.
type description struct {
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Parameters map[string]struct{ Name, In string }
	}
}

// describe returns the server's description of itself.
func (s *stack) describe() (d description) {
	s.Helper()
	_, text := get(s.T, s.client(s.named("nobody")), s.queries+"/openapi.json")
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		s.Fatal(err)
	}
	return d
}

// parametersOf returns the names of the query parameters of an operation.
func (d description) parametersOf(operation json.RawMessage) (names []string, err error) {
	var op struct {
		Parameters []struct {
			Name, In string
			Ref      string `json:"$ref"`
		}
	}
	err = json.Unmarshal(operation, &op)
	for _, p := range op.Parameters {
		if p.Ref != "" {
			shared := d.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
			p.Name, p.In = shared.Name, shared.In
		}
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	return names, err
}

// checkTable checks that the table has every route that the server describes, and a request with each of its parameters.
func (s *stack) checkTable(table map[string]route) {
	d := s.describe()
	for path, operations := range d.Paths {
		for method, operation := range operations {
			if !slices.Contains([]string{"get", "post", "put", "delete", "patch"}, method) {
				continue
			}
			name := strings.ToUpper(method) + " " + path
			r, known := table[name]
			if !known {
				s.Errorf("the server has the route %s, which the table of this test does not know: add it, with its right and its requests", name)
				continue
			}
			names, err := d.parametersOf(operation)
			if err != nil {
				s.Fatal(err)
			}
			for _, parameter := range names {
				if parameter == "cluster" { // of gateways, whose scopes are tested in queryd/query
					continue
				}
				if !regexp.MustCompile(`[?&]` + parameter + `=`).MatchString(strings.Join(r.requests, " ")) {
					s.Errorf("route %s has the parameter %s, which no request of the table has: add one", name, parameter)
				}
			}
		}
	}
}

// subject is something that requests are about.
type subject struct{ host, gpu, event, quarantined, upload string }

// subjects finds the events of the hosts, as a principal that sees everything.
func (s *stack) findSubjects() (mine, foreign, missing subject) {
	find := func(host, gpu string) subject {
		_, text := get(s.T, s.client(s.named("read-whole")), s.queries+"/api/v1/events?limit=1&order=asc&host_id="+host)
		var list struct {
			Data []struct {
				Key    string
				Upload string `json:"upload_id"`
			}
		}
		if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Data) != 1 {
			s.Fatalf("events of %s: %s", host, text)
		}
		_, text = get(s.T, s.client(s.named("read-whole")), s.queries+"/api/v1/quarantine?host_id="+host)
		key := regexp.MustCompile(`"key":"([^"]+)"`).FindStringSubmatch(text)
		if key == nil {
			s.Fatalf("quarantine of %s: %s", host, text)
		}
		return subject{host, gpu, list.Data[0].Key, key[1], list.Data[0].Upload}
	}
	mine, foreign = find(ownHost, ownUUID), find(foreignHost, foreignUUID)
	missing = subject{missingHost, missingUUID, strings.ReplaceAll(foreign.event, foreignHost, missingHost), strings.ReplaceAll(foreign.quarantined, foreignHost, missingHost), foreign.upload}
	return mine, foreign, missing
}

// in puts a subject into a request.
func (s *stack) in(request string, of subject) string {
	return strings.NewReplacer("HOST", of.host, "GPU-", "GPU-", "_GPU", "_GPU", "GPU", of.gpu, "EVENT", url.QueryEscape(of.event), "QUARANTINED", url.QueryEscape(of.quarantined), "UPLOAD", of.upload,
		"TIME", s.now.Add(-time.Hour).UTC().Format(time.RFC3339)).Replace(request)
}

// address returns the address of a request to a route of queryd.
func (s *stack) addressOf(pattern, request string) string {
	_, path, _ := strings.Cut(pattern, " ")
	path, _, _ = strings.Cut(path, "/{")
	return s.queries + path + request
}

// blank replaces the names of a subject, so that answers about different ones can be compared.
func (of subject) blank(text string) string {
	return strings.NewReplacer(of.event, "EVENT", url.QueryEscape(of.event), "EVENT", of.quarantined, "EVENT", url.QueryEscape(of.quarantined), "EVENT", of.host, "HOST", of.gpu, "GPU").Replace(text)
}

// changing matches the parts of answers that differ from one request to the next.
var changing = regexp.MustCompile(`(?i)("(as_of|asOf|position|folded|lag_seconds|uptime_seconds|request_id|token)":("[^"]*"|[0-9.e-]+))|((Date|X-Request-Id): .*)`)

// comparable returns the text of an answer about a subject in a form that is equal for equal answers.
func (a answer) comparable(of subject) string {
	lines := strings.Split(a.text(), "\n")
	slices.Sort(lines)
	return fmt.Sprint(a.status, changing.ReplaceAllString(of.blank(strings.Join(lines, "\n")), ""))
}

// checkScoped checks that an answer of a principal that sees own hosts alone has nothing of other ones.
func (s *stack) checkScoped(what string, of subject, a answer) {
	s.Helper()
	if word := foreignWordIn(of.blank(a.text())); word != "" {
		s.Errorf("%s: %q of a foreign host is in the answer %s", what, word, a)
	}
	for _, m := range regexp.MustCompile(`"next_?[cC]ursor":"([^"]+)"`).FindAllStringSubmatch(a.body, -1) {
		decoded, err := base64.RawURLEncoding.DecodeString(m[1])
		if err != nil {
			s.Errorf("%s: cursor %s: %v", what, m[1], err)
		}
		if word := foreignWordIn(string(decoded)); word != "" {
			s.Errorf("%s: %q of a foreign host is in the cursor %q", what, word, decoded)
		}
	}
	var body any
	if json.Unmarshal([]byte(a.body), &body) == nil {
		s.checkCounts(what, body)
	}
}

// ownCounts are the numbers of own things, by the names that answers have for them.
func ownCounts() map[string]float64 {
	return map[string]float64{"host_count": ownHosts, "hostCount": ownHosts, "total": ownGPUs * historySteps, "gpus": ownGPUs, "hosts": ownHosts, "members": ownGPUs, "gpuCount": ownGPUs, "gpu_count": ownGPUs, "quarantined": 1, "asked": 1, "events": ownHosts}
}

// checkCounts checks that no count is larger than the number of own things.
func (s *stack) checkCounts(what string, value any) {
	s.Helper()
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if n, ok := member.(float64); ok {
				if most, known := ownCounts()[name]; known && n > most {
					s.Errorf("%s: %s is %v, of own ones there are %v", what, name, n, most)
				}
			}
			s.checkCounts(what, member)
		}
	case []any:
		for _, member := range v {
			s.checkCounts(what, member)
		}
	}
}

// checkRetries asks for retries of quarantined events as administrators: each reaches the events of its own scope.
func (s *stack) checkRetries(foreign subject) {
	for name, asked := range map[string]int{"admin-whole": 2, "admin-own": 1, "certificate-own": 1} {
		client, route := s.client(s.named(name)), s.queries+"/api/v1/quarantine/retry"
		a := ask(s.T, client, http.MethodPost, route, "", nil)
		if a.status != http.StatusAccepted || !strings.Contains(a.body, fmt.Sprintf(`"asked":%d}`, asked)) {
			s.Errorf("%s: retry: got %s, want %d asked for", name, a, asked)
		}
		want := http.StatusNotFound
		if s.named(name).seesAll() {
			want = http.StatusAccepted
		}
		if a = ask(s.T, client, http.MethodPost, route+"?key="+url.QueryEscape(foreign.quarantined), "", nil); a.status != want {
			s.Errorf("%s: retry of a foreign event: got %s, want %d", name, a, want)
		}
	}
}

// walkREST sends every request of every route as every principal.
func (s *stack) walkREST() {
	table := queryRoutes()
	s.checkTable(table)
	mine, foreign, missing := s.findSubjects()
	s.checkRetries(foreign)
	for pattern, r := range table {
		for i, request := range r.requests {
			if before, found := strings.CutSuffix(request, "&cursor=CURSOR"); found {
				r.requests[i] = before + "&cursor=" + s.cursorOfWhole(s.addressOf(pattern, s.in(before, foreign)))
			}
		}
	}
	for _, p := range s.principals {
		client := s.client(p)
		for _, pattern := range slices.Sorted(maps.Keys(table)) {
			r := table[pattern]
			for _, request := range p.some(r.requests) {
				s.checkRequest(client, p, pattern, request, r.need, [3]subject{mine, foreign, missing})
			}
		}
	}
}

// cursorOfWhole returns the cursor in an answer to a principal that sees everything.
func (s *stack) cursorOfWhole(address string) string {
	s.Helper()
	_, text := get(s.T, s.client(s.named("read-whole")), address)
	var page struct {
		Next string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil || page.Next == "" {
		s.Fatalf("%s: got %.500s, want a page with a cursor", address, text)
	}
	return page.Next
}

// isAbout reports whether the answer to a request shows things of a host, if the host may be seen.
func isAbout(pattern, request string) bool {
	if strings.Contains(pattern, "graphql") || strings.Contains(pattern, "quarantine") || strings.Contains(request, sharedUUID) || strings.Contains(request, "cursor=") || strings.Contains(request, "/HOST:1") || strings.Contains(request, "QUARANTINED") {
		return false
	}
	return strings.Contains(request, "HOST") || strings.Contains(request, "GPU") || strings.Contains(request, "EVENT")
}

// checkRequest sends a request about own, foreign and missing things.
func (s *stack) checkRequest(client *http.Client, p *principal, pattern, request string, need access.Right, subjects [3]subject) {
	method, _, _ := strings.Cut(pattern, " ")
	var answers [3]answer
	for i, of := range subjects {
		if i > 0 && s.in(request, of) == s.in(request, subjects[0]) {
			answers[i] = answers[0]
			continue
		}
		answers[i] = ask(s.T, client, method, s.addressOf(pattern, s.in(request, of)), "", nil)
	}
	what := fmt.Sprintf("%s: %s %s", p.name, pattern, request)
	if refused := p.refusal(need); refused != 0 {
		for i, a := range answers {
			if a.status != refused || a.comparable(subjects[i]) != answers[0].comparable(subjects[0]) || foreignWordIn(subjects[i].blank(a.text())) != "" {
				s.Errorf("%s: got %s, want %d and the same for own, foreign and missing things", what, a, refused)
			}
		}
		return
	}
	// A cursor of another scope or GPU is refused; POST /graphql has no body here, and /ws no upgrade.
	malformed := strings.Contains(request, "cursor=") || pattern == "POST /graphql"
	if a := answers[0]; a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || a.status >= 500 || a.status == http.StatusBadRequest && !malformed {
		s.Errorf("%s: got %s, want it answered", what, a)
	}
	if p.seesAll() {
		if a := answers[1]; need == access.Read && isAbout(pattern, request) && foreignWordIn(subjects[1].blank(a.text())) == "" {
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
