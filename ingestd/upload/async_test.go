package upload

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// serveStates accepts a file and answers requests for its state with each of states in turn, repeating the last one.
// For a state "" it sends no answer.
func serveStates(t *testing.T, states ...string) (url string, uploads *atomic.Int64) {
	var asked atomic.Int64
	uploads = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			uploads.Add(1)
			_, _ = io.Copy(io.Discard, r.Body)
			respond(http.StatusAccepted, `{"success":true,"id":"u1","data":{"state":"queued"}}`)(w)
			return
		}
		state := states[min(int(asked.Add(1))-1, len(states)-1)]
		if state == "" {
			respond(http.StatusBadGateway, "away")(w)
			return
		}
		if state == "gone" {
			respond(http.StatusNotFound, `{"success":false,"error":"no such upload"}`)(w)
			return
		}
		respond(http.StatusOK, fmt.Sprintf(`{"success":true,"data":%s}`, state))(w)
	}))
	t.Cleanup(s.Close)
	return s.URL, uploads
}

func TestUploadFollowsWhatIsProcessedInTheBackground(t *testing.T) {
	const done = `{"state":"done","receipt":{"success":true,"status":"processed","accepted":7,"rejected":2}}`
	tests := []struct {
		name     string
		states   []string
		accepted int64
		code     int
	}{
		{"done", []string{`{"state":"processing"}`, done}, 7, codeRejected},
		{"not answered for a while", []string{"", "", done}, 7, codeRejected},
		{"failed", []string{`{"state":"failed","error":"not telemetry","code":"not_telemetry"}`}, 0, codeRefused},
		{"cancelled", []string{`{"state":"cancelled"}`}, 0, codeRefused},
		{"forgotten", []string{"gone"}, 0, codeUndelivered},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			url, uploads := serveStates(t, test.states...)
			client, err := New(Config{URL: url, Async: true})
			if err != nil {
				t.Fatal(err)
			}
			client.sleep = func(context.Context, time.Duration) bool { return true }
			f, err := fileSource(writeFile(t, t.TempDir(), "a.csv", "a\n1\n"))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := client.Send(t.Context(), f, nil, nil)
			r := result{answer: answer, err: err}
			if got := r.exitCode(); got != test.code {
				t.Errorf("exit code %d (%+v, %v), want %d", got, answer, err, test.code)
			}
			if answer != nil && answer.Accepted != test.accepted {
				t.Errorf("%d records accepted, want %d", answer.Accepted, test.accepted)
			}
			if n := uploads.Load(); n != 1 {
				t.Errorf("the file was sent %d times, want once", n)
			}
		})
	}
}
