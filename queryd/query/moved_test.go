package query

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"telemetry-pipeline/events/access"
)

func TestAddressOfUploads(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "http://streamer:8081": "http://streamer:8081/api/v1/csv/upload", "https://t.example/": "https://t.example/api/v1/csv/upload",
		"https://t.example/telemetry/api/v1/csv/upload": "https://t.example/telemetry/api/v1/csv/upload", "http://[::1]:8081": "http://[::1]:8081/api/v1/csv/upload",
	} {
		var u UploadURL
		if err := u.Set(text); err != nil || u.String() != want {
			t.Errorf("%q: got %q, %v, want %q", text, u.String(), err, want)
		}
	}
	for _, text := range []string{"streamer:8081", "/api/v1/csv/upload", "//t.example", "ftp://t.example", "http://", "http://:8081", "http://a:b@t.example", "http://t.example?a=b",
		"http://t.example?", "http://t.example#a", "http://t.example:port", "http://t.example/\r\nSet-Cookie: a", "javascript:alert(1)"} {
		u := UploadURL{"http://before"}
		if err := u.Set(text); err == nil || u.String() != "http://before" {
			t.Errorf("%q is taken as %q, want an error and no change", text, u.String())
		}
	}
}

// redirecting returns a server that redirects uploads.
func redirecting(t *testing.T, target string) *Server {
	t.Helper()
	cfg := Config{Host: "127.0.0.1", Port: FreePort}
	if err := cfg.UploadURL.Set(target); err != nil {
		t.Fatal(err)
	}
	return newServer(t, cfg)
}

func TestUploadsAreRedirected(t *testing.T) {
	s := redirecting(t, "https://t.example/up")
	for target, want := range map[string]string{
		uploadPath:       "https://t.example/up",
		uploadPath + "/": "https://t.example/up",
		uploadPath + "?wait=true&tz=Europe%2FBerlin": "https://t.example/up?wait=true&tz=Europe%2FBerlin",
		uploadPath + "?host=a%0d%0aX-Bad:%201":       "https://t.example/up?host=a%0d%0aX-Bad:%201",
	} {
		for _, header := range [][]string{nil, {"Content-Encoding", "gzip"}, {"Content-Type", "multipart/form-data; boundary=x"}, {"Authorization", "Bearer tp_unknown"}} {
			got := ask(t, s, "POST", target, "no form", header...)
			if got.status != http.StatusPermanentRedirect || got.header.Get("Location") != want || !strings.Contains(got.body, `"code":"moved"`) {
				t.Errorf("%s %v: got %d to %q, %s, want 308 to %q", target, header, got.status, got.header.Get("Location"), got.body, want)
			}
		}
	}
	if got := ask(t, s, "POST", uploadPath, "", "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden || got.header.Get("Location") != "" {
		t.Errorf("a page of another site: got %d to %q, want 403", got.status, got.header.Get("Location"))
	}
	if got := ask(t, s, "OPTIONS", uploadPath, "", "Origin", "https://a.example", "Access-Control-Request-Method", "POST"); got.status != http.StatusNoContent {
		t.Errorf("a preflight: got %d, want 204", got.status)
	}
	for _, method := range []string{"GET", "PUT", "OPTIONS"} {
		if got := ask(t, s, method, uploadPath, ""); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "POST" {
			t.Errorf("%s: got %d, Allow %q, want 405, POST", method, got.status, got.header.Get("Allow"))
		}
	}
	if got := ask(t, newServer(t, Config{}), "POST", uploadPath, ""); got.status != http.StatusGone || !strings.Contains(got.body, "http://STREAMER:8081"+uploadPath) || !strings.Contains(got.body, "QUERY_UPLOAD_URL") {
		t.Errorf("without an address: got %d, %s, want 410 and what to do", got.status, got.body)
	}
}

// TestUploadsAreAnsweredBeforeTheirBody writes headers of uploads whose bodies never come.
func TestUploadsAreAnsweredBeforeTheirBody(t *testing.T) {
	base, _ := startServer(t, redirecting(t, "https://t.example"))
	for name, header := range map[string]string{
		"with Expect":    "Content-Length: 100000000\r\nExpect: 100-continue\r\n",
		"without Expect": "Content-Length: 100000000\r\n",
		"compressed":     "Content-Length: 100000000\r\nContent-Encoding: gzip\r\nContent-Type: multipart/form-data; boundary=b\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.WriteString(conn, "POST "+uploadPath+"?wait=true HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\n")
		text, readErr := io.ReadAll(conn) // the server closes the connection: the body may come or not
		if err := errors.Join(err, readErr, conn.Close()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, part := range []string{"HTTP/1.1 308 ", "Location: https://t.example" + uploadPath + "?wait=true\r\n", "Connection: close\r\n", "X-Request-Id: ", `"code":"moved"`} {
			if !bytes.Contains(text, []byte(part)) {
				t.Errorf("%s: got %s, want %q in it", name, text, part)
			}
		}
	}
}

func TestOtherBodiesAreReadAsBefore(t *testing.T) {
	base, _ := startServer(t, redirecting(t, "https://t.example"))
	post := func(path string, size int, header string) *http.Response {
		req, err := http.NewRequest(http.MethodPost, base+path, strings.NewReader(`{"query":"{__typename}"}`+strings.Repeat(" ", size)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if header != "" {
			req.Header.Set("Expect", header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	if got := post("/graphql", 0, "100-continue").StatusCode; got != http.StatusOK {
		t.Errorf("GraphQL with Expect: got %d, want 200", got)
	}
	if got := post("/api/v1/quarantine/retry", 2<<20, "100-continue").StatusCode; got != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body with Expect: got %d, want 413", got)
	}
}

// TestCurlFollows has curl send files of several sizes by their old address. With tokens, it leaves them out at another address.
func TestCurlFollows(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal(err)
	}
	received := make(chan *http.Request, 1)
	var body bytes.Buffer
	streamer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body.Reset()
		file, _, err := r.FormFile("file")
		if err == nil {
			_, err = io.Copy(&body, file)
		}
		if err != nil {
			t.Error(err)
		}
		received <- r
	}))
	defer streamer.Close()
	guarded := newGuarded(t, access.Config{})
	if err := guarded.cfg.UploadURL.Set(streamer.URL); err != nil {
		t.Fatal(err)
	}
	base, _ := startServer(t, guarded.Server)
	for name, options := range map[string][]string{"small": nil, "large": nil, "large without Expect": {"-H", "Expect:"}, "trusted": {"--location-trusted"}} {
		size := 5 << 20
		if name == "small" || name == "trusted" {
			size = 300 << 10
		}
		content := bytes.Repeat([]byte("a line\n"), size/7)
		path := filepath.Join(t.TempDir(), "export.csv")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"-sS", "-L", "-F", "file=@" + path, "-H", "Authorization: Bearer " + guarded.tokens["ingest"], base + uploadPath + "?wait=true"}, options...)
		if out, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
			continue
		}
		r := <-received
		if r.Method != http.MethodPost || r.URL.String() != uploadPath+"?wait=true" || !bytes.Equal(body.Bytes(), content) {
			t.Errorf("%s: the streamer received %s %s with %d bytes, want all %d", name, r.Method, r.URL, body.Len(), len(content))
		}
		if got := r.Header.Get("Authorization") != ""; got != (name == "trusted") {
			t.Errorf("%s: the token was sent on: %t", name, got)
		}
	}
}
