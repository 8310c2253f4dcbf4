package main

import (
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// multiImage is the image of a program for all platforms.
type multiImage struct {
	name   string
	tag    string
	index  v1.ImageIndex
	images map[string]v1.Image // by processor
}

// newMultiImage returns the image of a program, with its index.
func newMultiImage(name, folder, source string, license []byte) (multiImage, error) {
	m := multiImage{name: name, images: map[string]v1.Image{}}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var first program
	for _, arch := range platforms() {
		p, err := readProgram(name, folder, arch)
		if err != nil {
			return m, err
		}
		if first.name == "" {
			first = p
		} else if p.version != first.version || p.revision != first.revision {
			return m, fmt.Errorf("%s is of version %s (revision %s) for %s, and of %s (%s) for %s: build both with one run of .ci/build",
				name, first.version, first.revision, first.arch, p.version, p.revision, arch)
		}
		image, err := newImage(p, source, license)
		if err != nil {
			return m, fmt.Errorf("building the image of %s for %s: %w", name, arch, err)
		}
		m.images[arch] = image
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	annotated, ok := mutate.Annotations(index, labels(first, source)).(v1.ImageIndex)
	if !ok {
		return m, fmt.Errorf("annotating the index of %s: the library returned another kind", name)
	}
	m.index, m.tag = annotated, first.tag()
	return m, nil
}

// newImage returns the image of a program for one platform.
func newImage(p program, source string, license []byte) (v1.Image, error) {
	layer, err := newLayer(p, license)
	if err != nil {
		return nil, err
	}
	created := v1.Time{Time: p.time}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.ConfigFile(base, &v1.ConfigFile{
		OS: "linux", Architecture: p.arch, Created: created, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			Entrypoint: []string{"/" + p.name}, User: fmt.Sprintf("%d:%d", userID, userID), WorkingDir: "/",
			Env: []string{"PATH=/", "HOME=/data"}, ExposedPorts: exposedPorts(p.name), Labels: labels(p, source),
		},
	})
	if err != nil {
		return nil, err
	}
	image, err = mutate.Append(image, mutate.Addendum{
		Layer: layer, History: v1.History{Created: created, CreatedBy: "deploy/docker/images", Comment: p.name + " " + p.version},
	})
	if err != nil {
		return nil, err
	}
	annotated, ok := mutate.Annotations(image, labels(p, source)).(v1.Image)
	if !ok {
		return nil, fmt.Errorf("annotating the image: the library returned another kind")
	}
	return annotated, nil
}

// labels returns the labels of an image, which are the annotations of its manifest too.
func labels(p program, source string) map[string]string {
	all := map[string]string{
		"org.opencontainers.image.title":    "telemetry-pipeline/" + p.name,
		"org.opencontainers.image.version":  p.version,
		"org.opencontainers.image.revision": p.revision,
		"org.opencontainers.image.created":  p.time.Format(time.RFC3339),
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
	if source != "" {
		all["org.opencontainers.image.source"] = source
	}
	return all
}

// exposedPorts returns the default ports of a program. An image documents them; it publishes none.
func exposedPorts(name string) map[string]struct{} {
	ports := map[string][]string{
		"ingestd": {"8081/tcp", "9081/tcp"}, "collectd": {"9082/tcp"}, "queryd": {"8080/tcp", "9080/tcp"},
		"standalone": {"8080/tcp", "8081/tcp", "9090/tcp"},
	}
	all := map[string]struct{}{}
	for _, port := range ports[name] {
		all[port] = struct{}{}
	}
	return all
}
