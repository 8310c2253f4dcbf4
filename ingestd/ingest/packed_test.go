package ingest

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

func gzipText(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// putBody sends a body as it is.
func putBody(t testing.TB, s *Server, query string, body io.Reader, header ...string) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.Addr().String()+"/api/v1/csv/upload"+query, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return responseOf(t, resp)
}

func TestPackedFilesAreAcceptedHoweverTheyAreSent(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	file := pipelinetest.DCGMFile(1000, 3)
	packed := gzipText(t, file)
	const gz = `200
{"success": true, "record_count": 1000, "packing": ["gzip"], "dialect": "dcgm-long"}`
	compareResponse(t, "in a form", postFile(t, s, "", packed), gz)
	compareResponse(t, "as the body", putBody(t, s, "", bytes.NewReader(packed), "Content-Type: application/gzip"), gz)
	compareResponse(t, "as the body without a type", putBody(t, s, "?filename=x.csv.gz", bytes.NewReader(packed)), `200
{"success": true, "record_count": 1000, "packing": ["gzip"], "filename": "x.csv.gz"}`)
	compareResponse(t, "encoded", putBody(t, s, "", bytes.NewReader(packed), "Content-Type: text/csv", "Content-Encoding: gzip"), `200
{"success": true, "record_count": 1000, "packing": null}`)
	compareResponse(t, "packed and encoded", putBody(t, s, "", bytes.NewReader(gzipText(t, packed)), "Content-Encoding: gzip"), gz)
	compareResponse(t, "a form, encoded", putBody(t, s, "", bytes.NewReader(gzipText(t, multipartOf(file))),
		"Content-Encoding: gzip", "Content-Type: multipart/form-data; boundary="+boundary), `200
{"success": true, "record_count": 1000, "filename": "f.csv"}`)
	for name, e := range log.StoredEvents(t) {
		if e.Records() == 0 {
			t.Errorf("event %s has no records", name)
		}
	}
}

func TestPackedFilesThatCannotBeOpenedAreDistinguished(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Limits: intake.Limits{PackedSize: 1 << 20, UnpackedSize: 16 << 20}}, log, log)
	file := pipelinetest.DCGMFile(1000, 3)
	packed := gzipText(t, file)
	cases := []struct {
		name   string
		body   []byte
		header []string
		want   string
	}{
		{"breaks off", packed[:len(packed)/2], nil, `400
{"code": "damaged_file", "error": "/end is missing/"}`},
		{"not what the header says", file, []string{"Content-Encoding: gzip"}, `400
{"code": "damaged_file", "error": "/Content-Encoding/"}`},
		{"coding that is not known", file, []string{"Content-Encoding: br"}, `415
{"code": "unsupported_packing", "error": "/\"br\"/"}`},
		{"encrypted", []byte("age-encryption.org/v1\n-> X25519 abc\n"), nil, `422
{"code": "encrypted", "error": "/ingest.age-identity/"}`},
		{"bzip2", []byte("BZh91AY&SY"), nil, `415
{"code": "unsupported_packing", "error": "/bzip2/"}`},
		{"bomb of zeros", gzipText(t, make([]byte, 32<<20)), nil, `413
{"code": "unpack_ratio_too_high", "error": "/200 times.*nothing of it was stored/", "status": "refused"}`},
		{"bomb of lines", gzipText(t, append(pipelinetest.DCGMFile(1, 1), bytes.Repeat([]byte(strings.Repeat("x", 63)+"\n"), 512<<10)...)), nil, `413
{"code": "unpack_ratio_too_high"}`},
		{"rubbish", gzipText(t, []byte("buy milk\n")), nil, `422
{"code": "not_telemetry"}`},
	}
	for _, c := range cases {
		compareResponse(t, c.name, putBody(t, s, "", bytes.NewReader(c.body), c.header...), c.want)
	}
	bomb := gzipText(t, make([]byte, 32<<20))
	for name, got := range map[string]response{
		"a bomb under a Content-Encoding": putBody(t, s, "", bytes.NewReader(bomb), "Content-Encoding: gzip"),
		"a bomb in chunks":                putBody(t, s, "", chunkedBody(bomb)),
		"a coded bomb in chunks":          putBody(t, s, "", chunkedBody(bomb), "Content-Encoding: gzip"),
	} {
		compareResponse(t, name, got, `413
{"code": "unpack_ratio_too_high"}`)
	}
	small := startServer(t, Config{Limits: intake.Limits{UnpackedSize: 1 << 20}}, log, log)
	compareResponse(t, "unpacks to too much", putBody(t, small, "", bytes.NewReader(gzipText(t, pipelinetest.DCGMFile(15_000, 3)))), `413
{"code": "file_too_large", "error": "/ingest.max-unpacked-size/", "status": "partial"}`)
	compareResponse(t, "a bomb among files", postFile(t, s, "", append(gzipText(t, make([]byte, 32<<20)), []byte("\r\n--"+boundary+
		"\r\nContent-Disposition: form-data; name=\"file\"; filename=\"good.csv\"\r\n\r\n"+string(file))...)), `207
{"success": false, "files": [{"success": false, "code": "unpack_ratio_too_high"}, {"success": true, "record_count": 1000}]}`)
}

func TestIdentityFileMustBeOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.txt")
	if err := os.WriteFile(path, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Config{AgeIdentity: path}, pipelinetest.NewRecorder(), pipelinetest.NewRecorder(), nil)
	if err == nil || !strings.Contains(err.Error(), "ingest.age-identity") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names flag and file", err)
	}
}

// A small body that unpacks to a gigabyte costs little memory and is refused.
func TestBombCostsLittleMemory(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	bombs := map[string][]byte{
		"gzip of zeros":              gzipZeros(t, 1<<30),
		"gzip in gzip":               gzipText(t, gzipZeros(t, 1<<30)),
		"a good file and then zeros": append(gzipText(t, pipelinetest.DCGMFile(1000, 3)), gzipZeros(t, 1<<30)...),
	}
	for name, bomb := range bombs {
		runtime.GC()
		before := heapBytes()
		var most atomic.Uint64
		stop := make(chan struct{})
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					most.Store(max(most.Load(), heapBytes()))
				}
			}
		}()
		got := putBody(t, s, "", bytes.NewReader(bomb))
		close(stop)
		<-watched
		compareResponse(t, name, got, `413
{"success": false, "code": "unpack_ratio_too_high"}`)
		if used := int64(most.Load()) - int64(before); used > 64<<20 {
			t.Errorf("%s of %d bytes took %d MiB of memory, want less than 64", name, len(bomb), used>>20)
		}
	}
}

// chunkedBody hides the length of a body, so that it is sent in chunks.
func chunkedBody(body []byte) io.Reader { return io.MultiReader(bytes.NewReader(body)) }

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// gzipZeros packs n zeros without ever holding them: gzip files one behind the other unpack to their texts in a row.
func gzipZeros(t testing.TB, n int) []byte {
	t.Helper()
	const part = 32 << 20
	return bytes.Repeat(gzipText(t, make([]byte, part)), n/part)
}

func BenchmarkBomb(b *testing.B) {
	log := pipelinetest.NewRecorder()
	s := startServer(b, Config{}, log, log)
	bomb := gzipZeros(b, 1<<30)
	for b.Loop() {
		if got := putBody(b, s, "", bytes.NewReader(bomb)); got.status != http.StatusRequestEntityTooLarge {
			b.Fatal(got)
		}
	}
}
