package spool

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzManifest reads any bytes in the place of a manifest, as a damaged disk leaves them: the upload is damaged with
// a reason, or its files are there in full.
func FuzzManifest(f *testing.F) {
	const id, content = "a1", "time,temp\n"
	for _, seed := range []string{
		"", "{", "null", "[]", `{"id":"a1"}`, `{"id":"a1","files":[{"name":"0.csv","size":10}]}`, `{"id":"a1","files":[{"size":-1}]}`,
		`{"id":"../a1","files":[{"size":10}]}`, `{"id":"a1","files":[{"size":10},{"size":10}]}`, `{"id":"a1","files":[{"size":9223372036854775807}]}`,
		`{"id":"a1","received_at":"never","files":[]}`, `{"id":"a1","query":{"tz":"+02:00"},"trouble":"x","files":null}`,
	} {
		f.Add([]byte(seed))
	}
	dir := filepath.Join(f.TempDir(), prefix+id)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "0"), []byte(content), 0o600)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, manifest []byte) {
		e := (&Spool{}).newUpload(dir, manifest)
		if e.ID != id || e.Damage != nil && len(e.Files) > 0 {
			t.Fatalf("got upload %q with %d files, damage %v; want %q, and of a damaged one nothing else", e.ID, len(e.Files), e.Damage, id)
		}
		for i, want := range e.Files {
			file, err := e.OpenFile(i)
			if err != nil {
				t.Fatalf("file %d of an upload without damage: %v", i, err)
			}
			info, err := file.Stat()
			if err := errors.Join(err, file.Close()); err != nil || info.Size() != want.Size {
				t.Errorf("file %d has not the %d bytes that its manifest says, error %v", i, want.Size, err)
			}
		}
	})
}
