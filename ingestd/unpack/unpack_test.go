package unpack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipText(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	writeAll(t, w, text)
	return b.Bytes()
}

func zstdCompress(t testing.TB, text []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, append(opts, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, w, text)
	return b.Bytes()
}

func encryptText(t testing.TB, text []byte, to *age.X25519Identity) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	writeAll(t, w, text)
	return b.Bytes()
}

func armorText(t testing.TB, packed []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	writeAll(t, armor.NewWriter(&b), packed)
	return b.Bytes()
}

func writeAll(t testing.TB, w io.WriteCloser, text []byte) {
	t.Helper()
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func newIdentity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// csvRows returns text that packs as telemetry does.
func csvRows(lines int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&b, "2025-07-18T20:%02d:%02dZ,DCGM_FI_DEV_POWER_USAGE,%d,%d.%d\n", i/60%60, i%60, i%8, rng.IntN(700), rng.IntN(1000))
	}
	return b.Bytes()
}

func readAll(r io.Reader, opt Options) (text []byte, layers []string, err error) {
	u, err := Open(r, opt)
	if err != nil {
		return nil, nil, err
	}
	defer u.Close()
	text, err = io.ReadAll(u)
	return text, u.Layers(), err
}

func TestTextOfEveryPackingComesOut(t *testing.T) {
	text, id := csvRows(20000), newIdentity(t)
	skippable := append([]byte{0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0}, "abc"...)
	cases := []struct {
		name   string
		packed []byte
		layers []string
	}{
		{"plain", text, nil},
		{"gzip", gzipText(t, text), []string{"gzip"}},
		{"gzip of several members", append(gzipText(t, text[:1000]), gzipText(t, text[1000:])...), []string{"gzip"}},
		{"zstd", zstdCompress(t, text), []string{"zstd"}},
		{"zstd of several frames", append(zstdCompress(t, text[:1000]), zstdCompress(t, text[1000:])...), []string{"zstd"}},
		{"zstd behind a frame to be skipped", append(skippable, zstdCompress(t, text)...), []string{"zstd"}},
		{"age", encryptText(t, text, id), []string{"age"}},
		{"age in armor", armorText(t, encryptText(t, text, id)), []string{"age"}},
		{"gzip in age", encryptText(t, gzipText(t, text), id), []string{"age", "gzip"}},
		{"zstd in age in armor in gzip", gzipText(t, armorText(t, encryptText(t, zstdCompress(t, text), id))), []string{"gzip", "age", "zstd"}},
	}
	for _, c := range cases {
		for how, chunked := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "halves": iotest.HalfReader, "bytes": iotest.OneByteReader} {
			got, layers, err := readAll(chunked(bytes.NewReader(c.packed)), Options{Identities: []age.Identity{id}})
			if err != nil || !bytes.Equal(got, text) || !slices.Equal(layers, c.layers) {
				t.Errorf("%s, read in %s: got %d bytes from %v, %v; want %d from %v", c.name, how, len(got), layers, err, len(text), c.layers)
			}
		}
	}
}

func TestTextIsNotTakenForPacked(t *testing.T) {
	for _, text := range []string{"", "a", "age-encryption.org/v2\n", "-----BEGIN CERTIFICATE-----", "BZ", "P", "timestamp,metric\n", "\x1f", "\x28\xb5\x2f"} {
		got, layers, err := readAll(strings.NewReader(text), Options{})
		if err != nil || string(got) != text || layers != nil {
			t.Errorf("%q: got %q from %v, %v", text, got, layers, err)
		}
	}
}

func TestRefusalsSayWhatIsWrong(t *testing.T) {
	id := newIdentity(t)
	text := csvRows(20000)
	zeros := make([]byte, 64<<20)
	deep := text
	for range maxLayers + 1 {
		deep = gzipText(t, deep)
	}
	wide := zstdCompress(t, csvRows(400000), zstd.WithWindowSize(maxWindow*2))
	corrupt := gzipText(t, text)
	corrupt[len(corrupt)/2] ^= 0x55
	header := append([]byte("age-encryption.org/v1\n-> X25519 AAAA\n"), bytes.Repeat([]byte(strings.Repeat("A", 64)+"\n"), 10000)...)
	own := Options{Identities: []age.Identity{id}}
	cases := []struct {
		name   string
		packed []byte
		opt    Options
		kind   Kind
		says   string
	}{
		{"gzip that breaks off", gzipText(t, text)[:10000], own, Damaged, "end is missing"},
		{"gzip header that breaks off", gzipText(t, text)[:5], own, Damaged, "end is missing"},
		{"zstd that breaks off", zstdCompress(t, text)[:10000], own, Damaged, "end is missing"},
		{"age that breaks off", encryptText(t, text, id)[:100000], own, Damaged, "age"},
		{"age header that breaks off", encryptText(t, text, id)[:50], own, Damaged, "age"},
		{"age header without end", header, own, Damaged, "no end"},
		{"gzip in age that breaks off", encryptText(t, gzipText(t, text)[:10000], id), own, Damaged, "gzip"},
		{"gzip in age whose age breaks off", encryptText(t, gzipText(t, text), id)[:70000], own, Damaged, "age"},
		{"gzip with a flipped bit", corrupt, own, Damaged, "gzip"},
		{"gzip with rubbish behind", append(gzipText(t, text), "rubbish rubbish"...), own, Damaged, "gzip"},
		{"bomb of gzip", gzipText(t, zeros), own, Bomb, "200 times"},
		{"bomb of zstd", zstdCompress(t, zeros), own, Bomb, "200 times"},
		{"bomb in a bomb", gzipText(t, gzipText(t, zeros)), own, Bomb, "200 times"},
		{"endless empty members in a bomb", gzipText(t, bytes.Repeat(gzipText(t, nil), 2<<20)), own, Bomb, "200 times"},
		{"too large packed", gzipText(t, text), Options{MaxPacked: 1000}, TooLarge, "ingest.max-packed-size"},
		{"too large unpacked", gzipText(t, text), Options{MaxText: 100000}, TooLarge, "ingest.max-unpacked-size"},
		{"too deep", deep, own, Unsupported, "4 times"},
		{"large window", wide, own, Unsupported, "zstd -19"},
		{"encrypted, no identity", encryptText(t, text, id), Options{}, Locked, "ingest.age-identity"},
		{"encrypted to somebody else", encryptText(t, text, newIdentity(t)), own, Locked, "recipient"},
		{"bzip2", []byte("BZh91AY&SY"), own, Unsupported, "bzip2"},
		{"zip", []byte("PK\x03\x04\x14\x00"), own, Unsupported, "zip"},
	}
	for _, c := range cases {
		_, _, err := readAll(bytes.NewReader(c.packed), c.opt)
		e, ok := asError(err)
		if !ok || e.Kind != c.kind || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: got %v, want an error of kind %d that says %q", c.name, err, c.kind, c.says)
		}
	}
}

// A small file that unpacks to a bit more is honest at any ratio.
func TestSmallFilesOfLittleContentPass(t *testing.T) {
	text := bytes.Repeat([]byte("0,0,0,0,0,0,0,0\n"), ratioFreeBytes/16)
	packed := gzipText(t, text)
	if ratio := len(text) / len(packed); ratio < 400 {
		t.Fatalf("the ratio is only %d", ratio)
	}
	got, _, err := readAll(bytes.NewReader(packed), Options{})
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("got %d bytes, %v; want all %d", len(got), err, len(text))
	}
}

// The text before an archive breaks off is returned: all of it that could be unpacked.
func TestTextBeforeTheBreakIsReturned(t *testing.T) {
	text := csvRows(50000)
	for name, packed := range map[string][]byte{"gzip": gzipText(t, text), "zstd": zstdCompress(t, text), "age": encryptText(t, text, newIdentity(t))[:0]} {
		if len(packed) == 0 {
			continue
		}
		got, _, err := readAll(bytes.NewReader(packed[:len(packed)*3/4]), Options{})
		if err == nil || len(got) < len(text)/2 || !bytes.HasPrefix(text, got) {
			t.Errorf("%s: got %d of %d bytes and %v, want most of three quarters and an error", name, len(got), len(text), err)
		}
	}
}

// The sender's own error is returned, not the error that a decoder makes of it.
func TestErrorOfTheSenderPasses(t *testing.T) {
	cause := errors.New("the line went dead")
	id := newIdentity(t)
	text := csvRows(20000)
	for name, packed := range map[string][]byte{
		"plain": text, "gzip": gzipText(t, text), "zstd": zstdCompress(t, text), "age": encryptText(t, text, id),
		"zstd in age": encryptText(t, zstdCompress(t, text), id), "gzip in gzip": gzipText(t, gzipText(t, text)),
	} {
		for _, at := range []int{0, 1, 30, 100, len(packed) / 2, len(packed) - 1, len(packed)} {
			r := io.MultiReader(bytes.NewReader(packed[:at]), iotest.ErrReader(cause))
			if _, _, err := readAll(r, Options{Identities: []age.Identity{id}}); err != cause {
				t.Errorf("%s, failing after %d of %d bytes: got %v, want the sender's own error", name, at, len(packed), err)
			}
		}
	}
}

func TestDecodeTakesOffWhatTheHeaderSays(t *testing.T) {
	text := csvRows(100)
	cases := []struct {
		encoding string
		body     []byte
		want     []byte
		kind     Kind
	}{
		{"gzip", gzipText(t, text), text, 0},
		{"X-GZIP, identity", gzipText(t, text), text, 0},
		{"zstd", zstdCompress(t, text), text, 0},
		{"zstd, gzip", gzipText(t, zstdCompress(t, text)), text, 0},
		{"gzip", gzipText(t, gzipText(t, text)), gzipText(t, text), 0}, // the file in it is packed as well
		{"identity", text, text, 0},
		{"", gzipText(t, text), gzipText(t, text), 0},
		{"gzip", nil, nil, 0},
		{"br", text, nil, Unsupported},
		{"gzip", text, nil, Damaged},
		{"gzip", zstdCompress(t, text), nil, Damaged},
	}
	for _, c := range cases {
		var got []byte
		r, err := Decode(bytes.NewReader(c.body), c.encoding, Options{})
		if err == nil {
			got, err = io.ReadAll(r)
			r.Close()
		}
		e, refused := asError(err)
		if refused != (c.want == nil && c.body != nil) || refused && e.Kind != c.kind || !refused && err != nil || !refused && !bytes.Equal(got, c.want) {
			t.Errorf("Content-Encoding %q: got %d bytes, %v; want %d or kind %d", c.encoding, len(got), err, len(c.want), c.kind)
		}
	}
}

// Text passes as it arrives: nothing waits for more than it needs.
func TestPartsAreReturnedAsTheyArrive(t *testing.T) {
	from, to := io.Pipe()
	defer from.Close()
	var zipped bytes.Buffer
	packer := gzip.NewWriter(&zipped)
	go func() {
		for _, line := range []string{"a\n", "bc\n"} {
			_, _ = packer.Write([]byte(line))
			_ = packer.Flush()
			_, _ = to.Write(zipped.Bytes())
			zipped.Reset()
		}
	}()
	r, err := Open(from, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, want := range []string{"a\n", "bc\n"} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v; want %q while the sender goes on", got, err, want)
		}
	}
}

func TestProbeRatioDistinguishesABombFromOtherContent(t *testing.T) {
	for _, c := range []struct {
		name string
		text []byte
		bomb bool
	}{
		{"zeros", make([]byte, 32<<20), true},
		{"few zeros", make([]byte, 1<<20), false},
		{"telemetry", csvRows(1000), false},
	} {
		r, err := Open(bytes.NewReader(gzipText(t, c.text)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.ProbeRatio(); (err != nil) != c.bomb {
			t.Errorf("%s: got %v, want a bomb: %t", c.name, err, c.bomb)
		}
		r.Close()
	}
}

func TestIdentitiesComeFromAFile(t *testing.T) {
	id := newIdentity(t)
	good, bad := filepath.Join(t.TempDir(), "key.txt"), filepath.Join(t.TempDir(), "bad.txt")
	for path, content := range map[string]string{good: "# created: today\n" + id.String() + "\n", bad: "no key\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := ReadIdentities(good)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := readAll(bytes.NewReader(encryptText(t, []byte("text"), id)), Options{Identities: ids}); string(got) != "text" {
		t.Errorf("got %q, %v; want the text", got, err)
	}
	for _, path := range []string{bad, filepath.Join(t.TempDir(), "none.txt")} {
		if _, err := ReadIdentities(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error that names %s", err, path)
		}
	}
}

func FuzzOpen(f *testing.F) {
	id, err := age.ParseX25519Identity("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX")
	if err != nil {
		f.Fatal(err)
	}
	text := csvRows(50)
	for _, seed := range [][]byte{text, gzipText(f, text), zstdCompress(f, text), encryptText(f, text, id), armorText(f, encryptText(f, gzipText(f, text), id))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		opt := Options{MaxText: 1 << 20, MaxPacked: 1 << 20, Identities: []age.Identity{id}}
		got, layers, err := readAll(bytes.NewReader(packed), opt)
		if _, known := asError(err); err != nil && !known {
			t.Errorf("got error %v, which says nothing to a person", err)
		}
		if len(layers) > 0 && int64(len(got)) > opt.MaxText {
			t.Errorf("%d bytes came out, the bound is %d", len(got), opt.MaxText)
		}
		if layers == nil && err == nil && !bytes.Equal(got, packed) {
			t.Error("what is not packed was changed")
		}
	})
}

// Text that begins with none of these bytes is not compared with the magics.
func TestFirstBytesOfMagicsAreKnown(t *testing.T) {
	for _, p := range knownPackings() {
		if strings.IndexByte(firstOfMagics, p.magic[0]) < 0 {
			t.Errorf("%s: the first byte of %q is not in firstOfMagics", p.name, p.magic)
		}
		if len(p.magic) > longestMagic {
			t.Errorf("%s: the magic %q has more than %d bytes", p.name, p.magic, longestMagic)
		}
	}
}
