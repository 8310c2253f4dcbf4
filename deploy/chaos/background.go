package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"telemetry-pipeline/events/wait"
)

// accepted is the answer to an upload with ?async=true, and to the question after its state.
type accepted struct {
	ID   string
	Data struct {
		State, Code, Error string
		Receipt            receipt
	}
}

const statePace = 250 * time.Millisecond

// followUpload asks any ingestd for the state of an upload that was accepted with ?async=true, until it is done, and returns the
// revision of its receipt. An accepted upload has to be done in the end: whichever release continues it, after a kill, too.
func (u *uploader) followUpload(ctx context.Context, f *upload, id string) (revision string) {
	last := "no answer"
	for wait.Sleep(ctx, statePace) {
		now, err := u.getState(ctx, u.bases[rand.IntN(len(u.bases))], id)
		if err != nil {
			last = err.Error()
			continue
		}
		switch r := &now.Data.Receipt; {
		case now.Data.State == "queued" || now.Data.State == "processing":
			last = now.Data.State
		case now.Data.State == "done" && r.RecordCount == f.listRecords() && r.Rejected == 0 && r.Revision != "":
			u.ledger.recordAnswer("in the background: done")
			u.ledger.listAcknowledged(f, r.Revision, time.Now())
			return r.Revision
		default:
			u.ledger.recordFault("%s, accepted as %s, of %d records: %+v", f.name, id, f.listRecords(), now.Data)
			return ""
		}
	}
	u.ledger.recordFault("%s, accepted as %s, was not done at the end: %s", f.name, id, last)
	return ""
}

// getState asks for the state of an upload.
func (u *uploader) getState(ctx context.Context, base, id string) (now accepted, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/uploads/"+id, http.NoBody)
	if err != nil {
		return now, err
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return now, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		return now, err
	}
	return now, json.Unmarshal(text, &now)
}
