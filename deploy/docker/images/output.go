package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// writeLayouts writes each image as a folder in OCI layout, and digests.txt with a line for each; out gets these lines too.
func writeLayouts(folder string, built []multiImage, out io.Writer) error {
	var lines []byte
	for _, m := range built {
		path, err := layout.Write(filepath.Join(folder, m.name), empty.Index)
		if err != nil {
			return fmt.Errorf("writing the layout of %s: %w", m.name, err)
		}
		named := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": m.tag})
		if err := path.AppendIndex(m.index, named); err != nil {
			return fmt.Errorf("writing the image of %s: %w", m.name, err)
		}
		digest, err := m.index.Digest()
		if err != nil {
			return fmt.Errorf("computing the digest of %s: %w", m.name, err)
		}
		lines = fmt.Appendf(lines, "telemetry-pipeline/%s:%s@%s\n", m.name, m.tag, digest)
	}
	if err := os.WriteFile(filepath.Join(folder, "digests.txt"), lines, 0o644); err != nil {
		return fmt.Errorf("writing the digests: %w", err)
	}
	_, err := out.Write(lines)
	return err
}

// writeArchives writes the archives that docker load and podman load read.
func writeArchives(folder string, built []multiImage) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the folder of archives: %w", err)
	}
	for _, m := range built {
		tag, err := name.NewTag("telemetry-pipeline/" + m.name + ":" + m.tag)
		if err != nil {
			return fmt.Errorf("naming the image of %s: %w", m.name, err)
		}
		for arch, image := range m.images {
			path := filepath.Join(folder, m.name+"-linux-"+arch+".tar")
			if err := tarball.WriteToFile(path, tag, image); err != nil {
				return fmt.Errorf("writing %s: %w", path, err)
			}
		}
	}
	return nil
}

// pushImages pushes all images to a registry, below a path, with the credentials of docker login.
func pushImages(ctx context.Context, registry string, built []multiImage, out io.Writer) error {
	for _, m := range built {
		tag, err := name.NewTag(registry + "/" + m.name + ":" + m.tag)
		if err != nil {
			return fmt.Errorf("flag push: %w", err)
		}
		if err := remote.WriteIndex(tag, m.index, remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithContext(ctx)); err != nil {
			return fmt.Errorf("pushing %s: %w", tag, err)
		}
		digest, err := m.index.Digest()
		if err != nil {
			return fmt.Errorf("computing the digest of %s: %w", m.name, err)
		}
		if _, err := fmt.Fprintf(out, "pushed %s@%s\n", tag, digest); err != nil {
			return err
		}
	}
	return nil
}
