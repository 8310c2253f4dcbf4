package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"telemetry-pipeline/events/wait"
)

// uploader sends files to any ingestd, again and again until one acknowledges.
type uploader struct {
	bases   []string
	ledger  *ledger
	client  *http.Client
	confirm *confirmer
}

const (
	uploadPace    = 250 * time.Millisecond // a new file starts this often
	uploadTimeout = 15 * time.Second       // of one attempt
	uploadsAtOnce = 12
)

func newUploader(c *cluster, l *ledger) *uploader {
	return &uploader{bases: c.baseURLs("ingestd"), ledger: l, confirm: newConfirmer(c, l), client: c.secrets.newClient("ingest", uploadTimeout)}
}

// uploadFiles sends new files until ctx ends; an upload under way continues until it is acknowledged or patience ends.
func (u *uploader) uploadFiles(ctx, patience context.Context, w *workload) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, uploadsAtOnce)
	for wait.Sleep(ctx, uploadPace) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		next := w.nextUpload()
		wg.Go(func() {
			revision := u.sendUpload(patience, next)
			<-slots
			if revision != "" {
				u.confirm.confirmUpload(patience, &next, revision)
			}
		})
	}
}

// sendUpload sends a file until it is acknowledged, and returns the revision of that.
func (u *uploader) sendUpload(ctx context.Context, f upload) (revision string) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		base := u.bases[rand.IntN(len(u.bases))]
		cut := attempt == 0 && f.cutAt > 0
		revision, again := u.tryUpload(ctx, base, &f, cut)
		switch {
		case revision != "":
			return revision
		case cut && f.once:
			return ""
		}
		if !wait.Sleep(ctx, again) {
			break
		}
	}
	u.ledger.recordAnswer("given up at the end of the run")
	return ""
}

// receipt is the body of an answer.
type receipt struct {
	Success     bool
	Error, Code string
	RecordCount int `json:"record_count"`
	Rejected    int
	Revision    string
}

// tryUpload sends a file once. It returns the revision at which it was acknowledged, or else the pause before the next try.
func (u *uploader) tryUpload(ctx context.Context, base string, f *upload, cut bool) (revision string, again time.Duration) {
	again = 50*time.Millisecond + rand.N(300*time.Millisecond)
	req, bytes, err := request(ctx, base, f, cut)
	if err != nil {
		u.ledger.recordFault("making a request: %v", err)
		return "", again
	}
	u.ledger.sending(f, bytes)
	resp, err := u.client.Do(req)
	if err != nil {
		u.ledger.recordAnswer(nature(err, cut))
		return "", again
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		u.ledger.recordAnswer("answer broken off")
		return "", again
	}
	if now := (accepted{}); f.async && resp.StatusCode == http.StatusAccepted {
		if err := json.Unmarshal(text, &now); err != nil || now.ID == "" {
			u.ledger.recordFault("%s: 202 without an id: %.200s", f.name, text)
			return "", again
		}
		return u.followUpload(ctx, f, now.ID), again
	}
	return u.checkAnswer(f, cut, resp, text, again)
}

// checkAnswer checks an answer against ingestd's promises.
func (u *uploader) checkAnswer(f *upload, cut bool, resp *http.Response, text []byte, again time.Duration) (revision string, _ time.Duration) {
	var r receipt
	err := json.Unmarshal(text, &r)
	u.ledger.recordAnswer(strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", r.Code)))
	switch {
	case err != nil:
		u.ledger.recordFault("%s: %d with a body that is no receipt: %.200s", f.name, resp.StatusCode, text)
	case resp.StatusCode == http.StatusOK && !cut && !f.async && r.Success && r.RecordCount == f.listRecords() && r.Rejected == 0 && r.Revision != "":
		u.ledger.listAcknowledged(f, r.Revision, time.Now())
		return r.Revision, 0
	case resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests:
		seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil {
			u.ledger.recordFault("%s: %d without a Retry-After: %.200s", f.name, resp.StatusCode, text)
		}
		return "", max(again, time.Duration(seconds)*time.Second)
	case resp.StatusCode == http.StatusRequestTimeout: // the server was frozen while we sent
	case resp.StatusCode == http.StatusBadRequest && cut: // it saw the end of our rows
	default:
		u.ledger.recordFault("%s, cut off: %t, of %d records: %d %.300s", f.name, cut, f.listRecords(), resp.StatusCode, text)
	}
	return "", again
}

// request makes a request; a cut one breaks its connection within the file. bytes says how much of the file it sends.
func request(ctx context.Context, base string, f *upload, cut bool) (req *http.Request, sent int, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", f.name)
	if err != nil {
		return nil, 0, err
	}
	head := body.Len()
	if _, err := part.Write(f.content); err != nil {
		return nil, 0, err
	}
	if err := form.Close(); err != nil {
		return nil, 0, err
	}
	length := int64(body.Len())
	var from io.Reader = &body
	sent = len(f.content)
	if cut {
		body.Truncate(head + f.cutAt)
		from, sent = io.MultiReader(&body, broken{}), f.cutAt
	}
	address := base + "/api/v1/csv/upload"
	if f.async {
		address += "?async=true"
	}
	req, err = http.NewRequestWithContext(ctx, http.MethodPost, address, from)
	if err != nil {
		return nil, 0, err
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", form.FormDataContentType())
	return req, sent, nil
}

var errCut = errors.New("cut off on purpose")

// broken is the rest of a body that never comes.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errCut }

// nature sorts an error of a request into a few kinds.
func nature(err error, cut bool) string {
	switch {
	case cut:
		return "cut off on purpose"
	case errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "Client.Timeout"):
		return "no answer in time"
	}
	return "connection error"
}
