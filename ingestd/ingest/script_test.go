package ingest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// A script in testdata/scripts is a txtar archive: its comment states its purpose; each file "request" is
// sent and its answer compared with the file "answer" after it; other files are the contents of requests.
//
// The first line of a request is method and path. Then, one per line:
//
//	header: Name value      a header of the request
//	part: name [filename]   a part of a multipart body, whose content is the file named filename, else name
//	body: file              the whole body; with part, none
//	quoted: file            that file holds a Go string literal
//	cut: n                  leave off the last n bytes of the body and hang up
//	chunked                 send the body in chunks, without its length
//	log: down               the log refuses appends during the request
//
// The first line of an answer is the status, then headers, then JSON. Members of its objects must be there
// with the same value; others may be there too; "*" stands for any value and "/…/" for text that matches. A
// text in place of JSON is anything.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scripts/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("scripts: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			log := pipelinetest.NewRecorder()
			s := startServer(t, Config{MaxUploadSize: 8 << 10, WaitTimeout: 50 * time.Millisecond}, log, log)
			playScript(t, archive, s.Addr().String(), log)
		})
	}
}

func playScript(t *testing.T, archive *txtar.Archive, addr string, log *pipelinetest.Recorder) {
	content := map[string][]byte{}
	for _, f := range archive.Files {
		content[f.Name] = f.Data
	}
	asked := 0
	var got response
	for _, f := range archive.Files {
		switch f.Name {
		case "request":
			asked++
			r := parseRequest(t, string(f.Data), content)
			log.SetDown(r.logDown)
			got = r.sendRequest(t, addr)
			log.SetDown(false)
		case "answer":
			compareResponse(t, fmt.Sprintf("request %d", asked), got, string(f.Data))
		}
	}
	if asked == 0 {
		t.Error("the script asks nothing")
	}
}

type request struct {
	head    string
	headers []string
	body    []byte
	cut     int
	chunked bool
	logDown bool
}

const boundary = "a-boundary"

func parseRequest(t *testing.T, text string, content map[string][]byte) request {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	r := request{head: lines[0]}
	quoted := map[string]bool{}
	load := func(name string) []byte {
		data, ok := content[name]
		if !ok {
			t.Fatalf("script has no file %q", name)
		}
		if quoted[name] {
			s, err := strconv.Unquote(strings.TrimSpace(string(data)))
			if err != nil {
				t.Fatalf("file %q: %v", name, err)
			}
			return []byte(s)
		}
		return data
	}
	var form bytes.Buffer
	for _, line := range lines[1:] {
		verb, arg, _ := strings.Cut(line, ": ")
		switch verb {
		case "header":
			name, value, _ := strings.Cut(arg, " ")
			r.headers = append(r.headers, name+": "+value)
		case "quoted":
			quoted[arg] = true
		case "part":
			name, filename, isFile := strings.Cut(arg, " ")
			disposition := fmt.Sprintf("form-data; name=%q", name)
			if isFile {
				disposition += fmt.Sprintf("; filename=%q", filename)
				name = filename
			}
			fmt.Fprintf(&form, "--%s\r\nContent-Disposition: %s\r\n\r\n%s\r\n", boundary, disposition, load(name))
		case "body":
			r.body = load(arg)
		case "cut":
			r.cut = parseNumber(t, arg)
		case "chunked":
			r.chunked = true
		case "log":
			r.logDown = arg == "down"
		default:
			t.Fatalf("script: unknown line %q", line)
		}
	}
	if form.Len() > 0 {
		r.headers = append(r.headers, "Content-Type: multipart/form-data; boundary="+boundary)
		r.body = append(form.Bytes(), "--"+boundary+"--\r\n"...)
	}
	return r
}

func parseNumber(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type response struct {
	status int
	header http.Header
	body   string
}

// sendRequest writes the request to a connection of its own, as a client that sends all before it reads.
func (r request) sendRequest(t *testing.T, addr string) response {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(testTimeout))
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s HTTP/1.1\r\nHost: localhost\r\n", r.head)
	for _, h := range r.headers {
		fmt.Fprintf(&out, "%s\r\n", h)
	}
	body := r.body[:len(r.body)-r.cut]
	switch {
	case r.chunked:
		out.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 1000)
			fmt.Fprintf(&out, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		if r.cut == 0 {
			out.WriteString("0\r\n\r\n")
		}
	case strings.HasPrefix(r.head, "POST"), strings.HasPrefix(r.head, "PUT"):
		fmt.Fprintf(&out, "Content-Length: %d\r\n\r\n%s", len(r.body), body)
	default:
		out.WriteString("\r\n")
	}
	if _, err := c.Write(out.Bytes()); err != nil {
		t.Fatalf("sending %s: %v", r.head, err)
	}
	if r.cut > 0 {
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	return readResponse(t, bufio.NewReader(c))
}

func readResponse(t *testing.T, r *bufio.Reader) response {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return responseOf(t, resp)
}

func responseOf(t testing.TB, resp *http.Response) response {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	if resp.Close { // taken out of the header by the client
		resp.Header.Set("Connection", "close")
	}
	return response{resp.StatusCode, resp.Header, string(body)}
}

func compareResponse(t *testing.T, which string, got response, want string) {
	t.Helper()
	head, body, _ := strings.Cut(want, "\n{")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	ok := got.status == parseNumber(t, lines[0])
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		ok = ok && matchesJSON(got.header.Get(name), value)
	}
	if body != "" {
		var g, w any
		if err := json.Unmarshal([]byte("{"+body), &w); err != nil {
			t.Fatalf("%s: expected answer: %v", which, err)
		}
		if err := json.Unmarshal([]byte(got.body), &g); err != nil {
			t.Errorf("%s: answer is no JSON: %v", which, err)
		}
		ok = ok && matchesJSON(g, w)
	}
	if !ok {
		t.Errorf("%s:\ngot %d %v\n%s\nwant\n%s", which, got.status, got.header, got.body, want)
	}
}

func matchesJSON(got, want any) bool {
	switch w := want.(type) {
	case string:
		text, isText := got.(string)
		if w == "*" {
			return got != nil
		}
		if len(w) > 1 && strings.HasPrefix(w, "/") && strings.HasSuffix(w, "/") {
			return isText && regexp.MustCompile(w[1:len(w)-1]).MatchString(text)
		}
		return isText && text == w
	case map[string]any:
		g, ok := got.(map[string]any)
		for name := range w {
			ok = ok && matchesJSON(g[name], w[name])
		}
		return ok
	case []any:
		g, ok := got.([]any)
		ok = ok && len(g) == len(w)
		for i := 0; ok && i < len(w); i++ {
			ok = matchesJSON(g[i], w[i])
		}
		return ok
	default:
		return got == want
	}
}
