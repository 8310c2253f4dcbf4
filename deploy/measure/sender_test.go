package measure

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

func TestSenderKeepsItsConnection(t *testing.T) {
	t.Parallel()
	var asked, addresses atomic.Int64
	last := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RemoteAddr != last {
			addresses.Add(1)
			last = r.RemoteAddr
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch asked.Add(1) {
		case 2:
			w.WriteHeader(http.StatusNoContent)
			return
		case 3:
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body)
	}))
	defer srv.Close()
	s, err := NewSender(srv.URL+"/a?b=c", "text/csv")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, want := range []struct {
		status int
		body   string
	}{{200, "POST /a?b=c text/csv x"}, {204, ""}, {429, "POST /a?b=c text/csv x"}, {200, "POST /a?b=c text/csv x"}} {
		status, body, err := s.Send(t.Context(), []byte("x"))
		if err != nil || status != want.status || string(body) != want.body {
			t.Errorf("answer %d is %d %q, %v; want %d %q", i, status, body, err, want.status, want.body)
		}
	}
	if n := addresses.Load(); n != 2 {
		t.Errorf("%d connections were made, want 2: the server closed one", n)
	}
}

func TestSenderReportsAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSender(fmt.Sprintf("http://127.0.0.1:%d/", ports[0]), "text/csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Send(t.Context(), nil); err == nil {
		t.Error("no error")
	}
}
