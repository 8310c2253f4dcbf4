package accessmatrix

import (
	"encoding/json"
	"os"
	"strings"

	"telemetry-pipeline/events/access"
)

// auditLine is a line of an audit log.
type auditLine struct {
	Msg, Principal, Address, Method, Route, Decision string
	By                                               string `json:"identified_by"`
	ID                                               string `json:"request_id"`
}

// readAudits returns the lines of all audit logs.
func (s *stack) readAudits() (lines []auditLine) {
	s.Helper()
	for _, file := range s.audits {
		text, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var l auditLine
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Msg != "audit" || l.Principal == "" || l.ID == "" || l.Decision == "" {
				s.Errorf("the audit log has the line %s (%v)", line, err)
			}
			lines = append(lines, l)
		}
	}
	return lines
}

// checkAudit checks that the audit logs have uploads, calls of administrators and refusals.
func (s *stack) checkAudit() {
	s.Helper()
	lines := s.readAudits()
	for _, want := range []auditLine{
		{Principal: "admin-whole", By: "token", Method: "POST", Route: "/api/v1/csv/upload/:name", Decision: "allowed"},
		{Principal: "oidc:boss", By: "oidc", Method: "PUT", Route: "/api/v1/csv/upload", Decision: "allowed"},
		{Principal: "machine-line", By: "certificate", Method: "POST", Route: "/api/v1/csv/upload", Decision: "allowed"},
		{Principal: "admin-own", By: "token", Method: "POST", Route: "/api/v1/quarantine/retry", Decision: "allowed"},
		{Principal: "admin-whole", By: "token", Method: "GET", Route: "GET /api/v1/status", Decision: "allowed"},
		{Principal: "read-own", By: "token", Method: "POST", Route: "/api/v1/quarantine/retry", Decision: "forbidden"},
		{Principal: "read-own", By: "token", Method: "GET", Route: "GET /api/v1/status", Decision: "forbidden"},
		{Principal: "ingest-own", By: "token", Method: "GET", Route: "/api/v1/gpus", Decision: "forbidden"},
		{Principal: "ingest-own", By: "token", Method: "GET", Route: "/ws", Decision: "forbidden"},
		{Principal: "ingest-own", By: "token", Method: "GET", Route: "/ws gpu.live.v1", Decision: "forbidden"},
		{Principal: "ingest-own", By: "token", Method: "GET", Route: "/graphql graphql-transport-ws", Decision: "forbidden"},
		{Principal: "read-own", By: "token", Method: "PUT", Route: "/api/v1/csv/upload", Decision: "forbidden"},
		{Principal: "nobody", By: "none", Method: "GET", Route: "/api/v1/gpus", Decision: "unauthenticated"},
		{Principal: "nobody", By: "none", Method: "POST", Route: "/api/v1/csv/upload", Decision: "unauthenticated"},
		{Principal: "nobody", By: "none", Method: "GET", Route: "GET /metrics", Decision: "unauthenticated"},
	} {
		found := false
		for _, l := range lines {
			if l.ID, l.Msg, l.Address = "", "", ""; l == want {
				found = true
				break
			}
		}
		if !found {
			s.Errorf("the audit logs have no line %+v", want)
		}
	}
	decisions := map[string]int{}
	for _, l := range lines {
		decisions[l.Decision]++
	}
	for _, decision := range []string{access.Allowed, string(access.Forbidden), string(access.Unauthenticated)} {
		if decisions[decision] == 0 {
			s.Errorf("the audit logs have no decision %s: %v", decision, decisions)
		}
	}
}

// checkSecrets checks that no token is in what a process wrote.
func (s *stack) checkSecrets() {
	s.Helper()
	outputs := map[string]string{}
	for _, p := range s.processes {
		outputs["output of "+p.name] = p.output()
	}
	for _, file := range s.audits {
		text, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		outputs[file] = string(text)
	}
	for where, text := range outputs {
		for _, secret := range s.secrets {
			if strings.Contains(text, secret) {
				s.Errorf("a token of the test is in the %s", where)
			}
		}
	}
}
