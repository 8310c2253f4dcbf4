package accessmatrix

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"telemetry-pipeline/events/access"
)

// uploadRoutes returns the routes of ingestd with their rights.
func uploadRoutes() map[string]access.Right {
	return map[string]access.Right{
		"POST /api/v1/csv/upload":        access.Ingest,
		"PUT /api/v1/csv/upload":         access.Ingest,
		"POST /api/v1/csv/upload/:name":  access.Ingest,
		"PUT /api/v1/csv/upload/:name":   access.Ingest,
		"GET /api/v1/uploads":            access.Ingest,
		"GET /api/v1/uploads/:id":        access.Ingest,
		"DELETE /api/v1/uploads/:id":     access.Ingest,
		"GET /api/v1/uploads/:id/events": access.Ingest,
		"GET /api/v1/status":             access.Monitor,
		"GET /health":                    access.Public,
	}
}

// adminRoutes returns the routes of every process's admin listener with their rights.
func adminRoutes() map[string]access.Right {
	return map[string]access.Right{
		"GET /health":              access.Public,
		"GET /ready":               access.Public,
		"GET /api/v1/status":       access.Operate,
		"GET /metrics":             access.Monitor,
		"GET /debug/pprof/":        access.Debug,
		"GET /debug/pprof/cmdline": access.Debug,
		"GET /debug/pprof/profile": access.Debug,
		"GET /debug/pprof/symbol":  access.Debug,
		"POST /debug/pprof/symbol": access.Debug,
		"GET /debug/pprof/trace":   access.Debug,
	}
}

// checkRegistered checks that a table has every route that a server's code registers.
func (s *stack) checkRegistered(file, pattern string, least int, known map[string]access.Right) {
	s.Helper()
	text, err := os.ReadFile("../../" + file)
	if err != nil {
		s.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1)
	if len(found) < least {
		s.Errorf("%s registers routes in a form that this test does not know: %q", file, found)
	}
	for _, m := range found {
		method, path := strings.ToUpper(m[1]), strings.Trim(m[2], `"`)
		if path == "path" { // the loop over the routes of uploads
			path = "/api/v1/csv/upload"
		}
		if _, ok := known[method+" "+path]; !ok {
			s.Errorf("%s registers %s %s, which the table of this test does not know: add it", file, method, path)
		}
	}
}

// walkUploads sends every request to ingestd as every principal.
func (s *stack) walkUploads() {
	s.checkRegistered("ingestd/ingest/server.go", `routes\.(\w+)\(access\.\w+, (path|"[^"]+"),`, 8, uploadRoutes())
	foreignID := s.uploadInBackground(s.named("admin-whole"), oneReading(s.now.Add(-20*time.Minute), foreignHost, 1))
	for _, p := range s.principals {
		s.checkUploading(p)
		s.checkUploadStates(p, foreignID)
		for route, need := range map[string]access.Right{"/api/v1/status": access.Monitor, "/health": access.Public} {
			a := ask(s.T, s.client(p), http.MethodGet, s.uploads+route, "", nil)
			want := p.refusal(need)
			if want == 0 {
				want = http.StatusOK
			}
			if a.status != want {
				s.Errorf("%s: GET %s of ingestd: got %s, want %d", p.name, route, a, want)
			}
			s.checkScopedUnlessWhole(p, "GET "+route+" of ingestd", a)
		}
	}
}

func (s *stack) checkScopedUnlessWhole(p *principal, what string, a answer) {
	s.Helper()
	if word := foreignWordIn(a.text()); word != "" && !p.seesAll() {
		s.Errorf("%s: %s: %q of a foreign host is in the answer %s", p.name, what, word, a)
	}
}

// uploadInBackground uploads a file with async=true, waits for its end and returns the upload's id.
func (s *stack) uploadInBackground(p *principal, content []byte) (id string) {
	s.Helper()
	status, text := s.upload(p, "?async=true", content)
	m := regexp.MustCompile(`"(?:id|upload_id)":"([^"]+)"`).FindStringSubmatch(text)
	if status != http.StatusAccepted || m == nil {
		s.Fatalf("%s: upload with async=true: %d %s", p.name, status, text)
	}
	eventually(s.T, "the end of upload "+m[1], func() (bool, string) {
		_, text := get(s.T, s.client(p), s.uploads+"/api/v1/uploads/"+m[1])
		return strings.Contains(text, `"accepted"`) && !strings.Contains(text, `"state":"running"`), text
	})
	return m[1]
}

// checkUploading uploads telemetry of own, foreign and missing hosts, by every route of uploads. Nothing of it is stored.
func (s *stack) checkUploading(p *principal) {
	refused, client := p.refusal(access.Ingest), s.client(p)
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		for _, path := range []string{"/api/v1/csv/upload", "/api/v1/csv/upload/export.csv"} {
			var texts [2]string
			for i, host := range []string{ownHost, foreignHost, missingHost} {
				content := oneReading(s.now.Add(-11*time.Minute), host, 1)
				a := ask(s.T, client, method, s.uploads+path+"?dry_run=true", "text/csv", content)
				what := fmt.Sprintf("%s: %s %s of %s", p.name, method, path, host)
				if refused != 0 {
					if a.status != refused {
						s.Errorf("%s: got %s, want %d", what, a, refused)
					}
					continue
				}
				var receipt struct {
					Accepted int `json:"would_accept"`
					Rejected int
				}
				if err := json.Unmarshal([]byte(a.body), &receipt); err != nil {
					s.Errorf("%s: got %s", what, a)
				}
				if allowed := host == ownHost || p.seesAll(); allowed != (receipt.Accepted == 3) || !allowed && receipt.Rejected != 3 {
					s.Errorf("%s: got %s, want it accepted: %t", what, a, allowed)
				}
				if i > 0 {
					texts[i-1] = regexp.MustCompile(`"(file_id|content_hash|uploaded_at|processed_at)":("[^"]*"|[0-9.e-]+)`).ReplaceAllString(strings.ReplaceAll(a.body, host, "HOST"), "")
				}
			}
			if texts[0] != texts[1] && !p.seesAll() {
				s.Errorf("%s: %s %s: the answers about foreign and missing hosts differ:\n%s\n%s", p.name, method, path, texts[0], texts[1])
			}
		}
	}
}

// checkUploadStates asks for the upload of another principal, and for one that does not exist.
func (s *stack) checkUploadStates(p *principal, foreignID string) {
	const unknownID = "00000000-0000-4000-8000-000000000000"
	refused, client := p.refusal(access.Ingest), s.client(p)
	all := p.seesAll() && p.role == access.RoleAdmin
	list := ask(s.T, client, http.MethodGet, s.uploads+"/api/v1/uploads", "", nil)
	if refused != 0 && list.status != refused || refused == 0 && (list.status != http.StatusOK || strings.Contains(list.body, foreignID) != all) {
		s.Errorf("%s: list of uploads: got %s, want the upload of another in it: %t", p.name, list, all)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		for _, suffix := range []string{"", "/events"} {
			if method == http.MethodDelete && suffix != "" {
				continue
			}
			var texts [2]string
			for i, id := range []string{foreignID, unknownID} {
				a := ask(s.T, client, method, s.uploads+"/api/v1/uploads/"+id+suffix, "", nil)
				want := http.StatusNotFound
				if refused != 0 {
					want = refused
				} else if all && i == 0 {
					want = http.StatusOK
					if method == http.MethodDelete {
						want = http.StatusConflict // it has ended
					}
				}
				if a.status != want {
					s.Errorf("%s: %s the upload %s%s: got %s, want %d", p.name, method, id, suffix, a, want)
				}
				s.checkScopedUnlessWhole(p, method+" an upload", a)
				texts[i] = strings.ReplaceAll(a.body, id, "ID")
			}
			if texts[0] != texts[1] && !all {
				s.Errorf("%s: %s: the answers about another's and an unknown upload differ:\n%s\n%s", p.name, method, texts[0], texts[1])
			}
		}
	}
}

// walkAdmin sends every request to the admin listeners as every principal.
func (s *stack) walkAdmin() {
	s.checkRegistered("deploy/daemon/admin.go", `\{"(GET|POST|PUT|DELETE) ([^"]+)", access\.`, 8, adminRoutes())
	for _, p := range s.principals {
		client := s.client(p)
		for program, base := range s.admins {
			for route, need := range adminRoutes() {
				method, path, _ := strings.Cut(route, " ")
				if need == access.Debug && p.name != "nobody" {
					continue // a caller of this machine, who is not asked for credentials
				}
				switch path {
				case "/debug/pprof/profile":
					path += "?seconds=1"
				case "/debug/pprof/trace":
					path += "?seconds=0.01"
				}
				a := ask(s.T, client, method, base+path, "", nil)
				want := p.refusal(need)
				if want == 0 {
					want = http.StatusOK
				}
				if a.status != want {
					s.Errorf("%s: %s of %s: got %s, want %d", p.name, route, program, a, want)
				}
				if need != access.Debug {
					s.checkScopedUnlessWhole(p, route+" of "+program, a)
				}
			}
			s.checkRemoteDebug(p, client, base)
		}
	}
}

// checkRemoteDebug asks for profiles as a proxy does: then the right is asked for.
func (s *stack) checkRemoteDebug(p *principal, client *http.Client, base string) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.T.Context(), http.MethodGet, base+"/debug/pprof/cmdline", nil)
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "192.0.2.1")
	resp, err := client.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	resp.Body.Close()
	want := p.refusal(access.Operate) // as the right Debug of callers elsewhere
	if want == 0 {
		want = http.StatusOK
	}
	if resp.StatusCode != want {
		s.Errorf("%s: profiles by a proxy: got %d, want %d", p.name, resp.StatusCode, want)
	}
}
