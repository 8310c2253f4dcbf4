package coding

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/klauspost/compress/gzip"
	zstandard "github.com/klauspost/compress/zstd"
)

func TestAcceptedCoding(t *testing.T) {
	for header, want := range map[string]coding{
		"":                                   identity,
		"identity":                           identity,
		"br, deflate":                        identity,
		"gzip":                               gzipped,
		"GZIP":                               gzipped,
		"gzip, deflate, br":                  gzipped,
		"gzip, deflate, br, zstd":            zstd,
		"zstd;q=0.5, gzip;q=0.8":             gzipped,
		"zstd; q=0.8 , gzip; q=0.5":          zstd,
		"gzip;q=0":                           identity,
		"gzip;q=0, *":                        zstd,
		"*;q=0.1":                            zstd,
		"*;q=0":                              identity,
		"gzip;q=nothing":                     identity,
		"gzip;q=2":                           identity,
		"gzip;q=0.5, identity":               identity,
		"gzip, identity;q=0.5":               gzipped,
		"zstd;q=0, gzip;q=0.1, identity;q=0": gzipped,
	} {
		if got := acceptedCoding(header); got != want {
			t.Errorf("Accept-Encoding %q: got %q, want %q", header, got, want)
		}
	}
}

// piecesBody writes pieces as they come.
type piecesBody struct {
	io.Reader
	pieces <-chan string
	fails  error // after the last piece
	closed chan struct{}
}

func (b *piecesBody) SupportsBodyWriteTo() bool { return true }

func (b *piecesBody) WriteTo(w io.Writer) (n int64, err error) {
	for piece := range b.pieces {
		m, err := io.WriteString(w, piece)
		if n += int64(m); err != nil {
			return n, err
		}
	}
	return n, b.fails
}

func (b *piecesBody) Close() error {
	close(b.closed)
	return nil
}

// server serves one body, or texts.
type server struct {
	addr  string
	coder *Coder
}

func serve(t *testing.T, handlers map[string]fiber.Handler) *server {
	t.Helper()
	s := &server{coder: New()}
	app := fiber.New(fiber.Config{DisableStartupMessage: true, Immutable: true})
	app.Use(s.coder.Answer)
	for path, h := range handlers {
		app.Get(path, h)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(ln) }()
	t.Cleanup(func() {
		if err := errors.Join(app.Shutdown(), <-ended); err != nil {
			t.Error(err)
		}
		if n := len(s.coder.running); n != 0 {
			t.Errorf("%d compressions have not ended", n)
		}
	})
	return s
}

func (s *server) get(t *testing.T, method, path, accept string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept-Encoding", accept)
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, Timeout: 2 * time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// unpack returns a reader of the plain text of an answer.
func unpack(t *testing.T, resp *http.Response) io.Reader {
	t.Helper()
	switch resp.Header.Get("Content-Encoding") {
	case "gzip":
		r, err := gzip.NewReader(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	case "zstd":
		r, err := zstandard.NewReader(resp.Body, zstandard.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	return resp.Body
}

func TestAnswersAreCompressed(t *testing.T) {
	long, short := strings.Repeat(`{"gpu":"GPU-a"},`, 5000), strings.Repeat("x", leastBytes-1)
	text := func(media, text string) fiber.Handler {
		return func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, media)
			return c.SendString(text)
		}
	}
	s := serve(t, map[string]fiber.Handler{
		"/long": text("application/json; charset=utf-8", long), "/short": text("application/json", short), "/image": text("image/png", long),
		"/packed": func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentEncoding, "br")
			return text("application/json", long)(c)
		},
		"/stream": func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
			SetStream(c, knownBody{bytes.NewReader([]byte(long))}, len(long))
			return nil
		},
		"/shortstream": func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
			SetStream(c, knownBody{bytes.NewReader([]byte(short))}, len(short))
			return nil
		},
	})
	for _, c := range []struct {
		method, path, accept, want string
		varies                     bool
	}{
		{"GET", "/long", "gzip", "gzip", true}, {"GET", "/long", "zstd", "zstd", true}, {"GET", "/long", "", "", true}, {"GET", "/long", "br", "", true},
		{"HEAD", "/long", "gzip", "", true}, {"GET", "/short", "gzip", "", false}, {"GET", "/image", "gzip", "", false}, {"GET", "/packed", "gzip", "br", false},
		{"GET", "/stream", "gzip", "gzip", true}, {"GET", "/stream", "zstd", "zstd", true}, {"GET", "/stream", "", "", true}, {"GET", "/shortstream", "gzip", "", false},
	} {
		resp := s.get(t, c.method, c.path, c.accept)
		if got := resp.Header.Get("Content-Encoding"); got != c.want || (resp.Header.Get("Vary") == "Accept-Encoding") != c.varies {
			t.Errorf("%s %s with %q: Content-Encoding %q, Vary %q; want %q, %v", c.method, c.path, c.accept, got, resp.Header.Get("Vary"), c.want, c.varies)
		}
		packed, err := io.ReadAll(unpack(t, resp))
		want := long
		if strings.HasPrefix(c.path, "/short") {
			want = short
		}
		if c.method == "HEAD" {
			want = ""
		}
		if err != nil || string(packed) != want {
			t.Errorf("%s %s with %q: %d bytes, %v; want the %d of the text", c.method, c.path, c.accept, len(packed), err, len(want))
		}
	}
}

// knownBody is a body of known length.
type knownBody struct{ *bytes.Reader }

func (knownBody) Close() error { return nil }

// A stream's pieces arrive as they are made, compressed or not, and an error cuts the answer off so that its reader notices.
func TestStreamsStayStreams(t *testing.T) {
	for _, accept := range []string{"", "gzip", "zstd"} {
		for _, fails := range []error{nil, errors.New("the archive is away")} {
			pieces, closed := make(chan string), make(chan struct{})
			s := serve(t, map[string]fiber.Handler{"/": func(c *fiber.Ctx) error {
				c.Set(fiber.HeaderContentType, "application/x-ndjson")
				SetStream(c, &piecesBody{pieces: pieces, fails: fails, closed: closed}, -1)
				return nil
			}})
			var lines *bufio.Reader
			var resp *http.Response
			for n := range 3 {
				line := strings.Repeat(string(rune('a'+n)), 300) + "\n"
				sent := make(chan struct{})
				go func() { pieces <- line; close(sent) }()
				if n == 0 {
					resp = s.get(t, "GET", "/", accept)
					lines = bufio.NewReader(unpack(t, resp))
				}
				got, err := lines.ReadString('\n') // before there is another piece
				if err != nil || got != line {
					t.Fatalf("%q: piece %d: got %q, %v", accept, n, got, err)
				}
				<-sent
			}
			close(pieces)
			rest, err := io.ReadAll(lines)
			if len(rest) != 0 || (err == nil) != (fails == nil) {
				t.Errorf("%q, body ends with %v: rest is %q, %v", accept, fails, rest, err)
			}
			<-closed
		}
	}
}

func TestCompressionsAreBounded(t *testing.T) {
	text := strings.Repeat("x", 10_000)
	s := serve(t, map[string]fiber.Handler{"/": func(c *fiber.Ctx) error { return c.JSON(text) }})
	for range mostAtOnce {
		s.coder.running <- struct{}{}
	}
	if got := s.get(t, "GET", "/", "gzip").Header.Get("Content-Encoding"); got != "" {
		t.Errorf("Content-Encoding %q while %d answers are compressed, want none", got, mostAtOnce)
	}
	for range mostAtOnce {
		<-s.coder.running
	}
	if got := s.get(t, "GET", "/", "gzip").Header.Get("Content-Encoding"); got != "gzip" {
		t.Errorf("Content-Encoding %q after them, want gzip", got)
	}
}
