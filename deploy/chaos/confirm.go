package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// confirmer asks for the readings that were just acknowledged, with ?wait= at the revision of the receipt. An answer may be late or an error; one that
// comes must hold every record.
type confirmer struct {
	bases  []string // of queryd
	ledger *ledger
	client *http.Client
}

func newConfirmer(c *cluster, l *ledger) *confirmer {
	return &confirmer{bases: c.baseURLs("queryd"), ledger: l, client: c.secrets.newClient("read", 15*time.Second)}
}

// confirmUpload asks any queryd for one GPU of an upload at one time.
func (c *confirmer) confirmUpload(ctx context.Context, u *upload, revision string) {
	base := c.bases[rand.IntN(len(c.bases))]
	first := u.rows[0].readings[0]
	want := map[reading]string{}
	for _, row := range u.rows {
		for i, r := range row.readings {
			if r.gpu == first.gpu && r.at == first.at {
				want[r] = row.values[i]
			}
		}
	}
	at := time.Unix(0, first.at).UTC().Format(time.RFC3339Nano)
	query := url.Values{"gpu_id": {first.gpu}, "start_time": {at}, "end_time": {at}, "wait": {revision}}
	var answered []entry
	if _, err := getData(ctx, c.client, base+"/api/v1/telemetry?"+query.Encode(), &answered); err != nil {
		c.ledger.recordAnswer("read with ?wait=: " + err.Error())
		if isFinal(err) {
			c.ledger.recordFault("%s was acknowledged at %s; %s refused ?wait= for that: %v", u.name, revision, base, err)
		}
		return
	}
	c.ledger.recordAnswer("read with ?wait=: 200")
	for _, missing := range missingReadings(want, answered) {
		c.ledger.recordFault("%s was acknowledged at %s; %s answered ?wait= for that without %s", u.name, revision, base, missing)
	}
}

// missingReadings returns the readings that entries lack, or have with another value.
func missingReadings(want map[reading]string, answered []entry) []reading {
	got := map[reading]string{}
	for _, e := range answered {
		for r, value := range e.entryReadings() {
			got[r] = value
		}
	}
	var all []reading
	for r, value := range want {
		if got[r] != value {
			all = append(all, r)
		}
	}
	return all
}
