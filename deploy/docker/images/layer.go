package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// userID is the user and the group that images run as; neither is root.
const userID = 65532

// file is an entry of a layer; a name with a slash at its end is a folder.
type file struct {
	name    string
	mode    fs.FileMode
	owner   int
	content []byte
}

// newLayer returns the one layer of an image.
func newLayer(p program, license []byte) (v1.Layer, error) {
	files := []file{
		{name: "data/", mode: 0o750, owner: userID},
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", userID)},
		{name: "etc/passwd", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/data:/sbin/nologin\n", userID, userID)},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: authorities()},
		{name: "LICENSE", mode: 0o644, content: license},
		{name: p.name, mode: 0o755, content: p.content},
		{name: "tmp/", mode: fs.ModeSticky | 0o777},
	}
	var packed bytes.Buffer
	out := tar.NewWriter(&packed)
	for _, f := range files {
		if err := f.write(out, p); err != nil {
			return nil, fmt.Errorf("packing %s: %w", f.name, err)
		}
	}
	if err := out.Close(); err != nil {
		return nil, fmt.Errorf("packing the layer: %w", err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

func (f file) write(out *tar.Writer, p program) error {
	header := &tar.Header{
		Name: f.name, Typeflag: tar.TypeReg, Size: int64(len(f.content)), Mode: int64(f.mode.Perm()),
		Uid: f.owner, Gid: f.owner, ModTime: p.time, Format: tar.FormatUSTAR,
	}
	if f.name[len(f.name)-1] == '/' {
		header.Typeflag = tar.TypeDir
	}
	if f.mode&fs.ModeSticky != 0 {
		header.Mode |= 0o1000
	}
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err := out.Write(f.content)
	return err
}

// authorities returns the certificates of the authorities that Mozilla trusts, in PEM form. They come from the Go project's module,
// not from the machine: its version decides, and an update of the module is an update of the images.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue // trusted for some names or times only, which a file of certificates cannot express
		}
		_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
	}
	return all.Bytes()
}
