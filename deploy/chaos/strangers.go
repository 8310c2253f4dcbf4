package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"telemetry-pipeline/events/wait"
)

// stranger asks one daemon again and again for something that its credentials have no right to.
type stranger struct {
	name    string
	method  string
	address string
	as      []credential

	mu      sync.Mutex
	answers map[string]int
	refused int
	wrong   []string
}

// credential is the token of a caller that lacks the right, and the status that it has to be answered with.
type credential struct {
	caller string
	client *http.Client
	status int
}

// strangerPace keeps the failed logins of an address below -access.login-rate.
const strangerPace = 2 * time.Second

// newStrangers returns a stranger for each daemon; none where everything is open.
func newStrangers(c *cluster) []*stranger {
	if c.secrets == nil {
		return nil
	}
	as := func(caller string, status int) credential {
		return credential{caller, c.secrets.newClient(caller, readTimeout), status}
	}
	var all []*stranger
	for _, d := range c.daemons {
		s := &stranger{name: d.name, method: http.MethodGet, answers: map[string]int{},
			as: []credential{as(noRole, http.StatusUnauthorized), as(unknownRole, http.StatusUnauthorized)}}
		switch d.kind {
		case "ingestd":
			s.method, s.address = http.MethodPost, d.base+"/api/v1/csv/upload"
			s.as = append(s.as, as("read", http.StatusForbidden))
		case "queryd":
			s.address = d.base + "/api/v1/gpus"
			s.as = append(s.as, as("ingest", http.StatusForbidden))
		default:
			s.address = d.admin + "/metrics"
			s.as = append(s.as, as(rackRole, http.StatusForbidden)) // totals of all hosts are for a whole scope
		}
		all = append(all, s)
	}
	return all
}

// askAgain asks until ctx ends.
func (s *stranger) askAgain(ctx context.Context) {
	for n := 0; wait.Sleep(ctx, strangerPace); n++ {
		who := s.as[n%len(s.as)]
		req, err := http.NewRequestWithContext(ctx, s.method, s.address, http.NoBody)
		if err != nil {
			s.noteAnswer(who, err.Error(), 0)
			continue
		}
		resp, err := who.client.Do(req)
		if err != nil {
			continue // it is exchanged, killed or frozen
		}
		_ = resp.Body.Close() // the status is enough
		s.noteAnswer(who, resp.Status, resp.StatusCode)
	}
}

func (s *stranger) noteAnswer(who credential, text string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[who.caller+": "+text]++
	switch status {
	case who.status:
		s.refused++
	case http.StatusTooManyRequests, http.StatusServiceUnavailable: // nothing was answered either
	default:
		s.wrong = append(s.wrong, fmt.Sprintf("%s answered %s to %s %s by %s", s.name, text, s.method, s.address, who.caller))
	}
}

// checkStrangers holds that nobody without a right was answered.
func checkStrangers(all []*stranger) verdict {
	v := verdict{promise: "who has no right is refused, by either release and at any time", how: "requests to each daemon without a token, with an unknown one, and with one of another role or scope"}
	for _, s := range all {
		v.checked += s.refused
		for _, w := range s.wrong {
			v.addFailure("%s", w)
		}
	}
	return v
}

// rackHosts is the pattern of the hosts that the role rackRole may see.
const rackHosts = "rack0_*"

// rackGPUs returns the GPUs of rackHosts.
func rackGPUs() map[string]bool {
	all := map[string]bool{}
	for h := range hosts {
		if strings.HasPrefix(hostName(h), strings.TrimSuffix(rackHosts, "*")) {
			for g := range gpusPerHost {
				all[gpuName(h, g)] = true
			}
		}
	}
	return all
}

// checkScope compares the history that a reader of some hosts gets with the records of these.
func (out *observations) checkScope(ctx context.Context, c *cluster) verdict {
	v := verdict{promise: "a reader whose scope is some hosts gets each of their records once, and nothing of other hosts", how: "all pages of /api/v1/telemetry of each queryd, as role " + rackRole}
	rack, sent, acked := rackGPUs(), maps.Clone(out.ledger.sent), maps.Clone(out.ledger.acked)
	maps.DeleteFunc(sent, func(r reading, _ string) bool { return !rack[r.gpu] })
	maps.DeleteFunc(acked, func(r reading, _ bool) bool { return !rack[r.gpu] })
	client := c.secrets.newClient(rackRole, 40*time.Second)
	for _, d := range c.processesOf("queryd") {
		answered, err := history(ctx, client, "", d.base)
		if err != nil {
			v.addFailure("%s: %v", d.name, err)
			continue
		}
		v.addVerdicts(checkRecords(d.name, answered, sent, acked))
	}
	return v
}
