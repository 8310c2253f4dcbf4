package events

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"
)

// HostID is a host's name as its telemetry gives it.
type HostID string

// GPUID names a GPU in every view: its UUID when it has a real one, else "host:index", else
// "host:pci-address".
type GPUID string

// Entity is what a reading is about: a GPU (Part is "") or a part of one that has readings of its own,
// written kind:id ("mig:1", "nvlink:3", "pid:4711").
type Entity struct {
	GPU  GPUID
	Part string
}

// Compare orders by GPU, its own readings before those of its parts.
func (e Entity) Compare(f Entity) int {
	if c := strings.Compare(string(e.GPU), string(f.GPU)); c != 0 {
		return c // most often the GPU tells, and sorting a fleet asks a lot
	}
	return strings.Compare(e.Part, f.Part)
}

// Label is one further label of the source, kept as it came.
type Label struct{ Name, Value string }

// compareTo orders by name, then value.
func (l Label) compareTo(m Label) int {
	return cmp.Or(strings.Compare(l.Name, m.Name), strings.Compare(l.Value, m.Value))
}

// Identity is everything a source said about where a reading comes from, besides metric, time and
// value. Empty means not said. Labels are sorted by name and hold only what has no field here (and
// what contradicts a field, as <name>_label).
type Identity struct {
	UUID       string
	Index      string // GPU index on its host
	PCI        string // lower case, domain of 8 digits
	Device     string
	Model      string
	Driver     string
	MIG        string // GPU instance id
	MIGProfile string
	Pod        string
	Namespace  string
	Container  string
	Part       string // see Entity
	Labels     []Label
}

// identityFields is the number of an Identity's fields besides Labels.
const identityFields = 12

// fieldPointers are all of an identity but its labels, in the order in which they are compared, hashed and
// stored. The order is a fact of stored data; never change it.
func (id *Identity) fieldPointers() [identityFields]*string {
	return [identityFields]*string{
		&id.UUID, &id.Index, &id.PCI, &id.Device, &id.Model, &id.Driver, &id.MIG, &id.MIGProfile,
		&id.Pod, &id.Namespace, &id.Container, &id.Part,
	}
}

// Entity tells whose readings an identity's are, on the given host. The GPU is "" when nothing names one
// (a reading of the host itself, or of something that is no GPU).
func (id *Identity) Entity(host HostID) Entity {
	return Entity{GPU: id.gpuID(host), Part: id.Part}
}

func (id *Identity) gpuID(host HostID) GPUID {
	switch {
	case RealUUID(id.UUID):
		return GPUID(id.UUID)
	case id.Index != "":
		return GPUID(string(host) + ":" + id.Index)
	case id.PCI != "":
		return GPUID(string(host) + ":" + id.PCI)
	}
	return ""
}

// RealUUID tells whether a UUID names one GPU: masked captures have all zeros, and tools write N/A.
func RealUUID(uuid string) bool {
	rest := strings.TrimPrefix(strings.TrimPrefix(uuid, "MIG-"), "GPU-")
	return strings.Trim(rest, "0-") != "" && !strings.EqualFold(strings.Trim(rest, "[]"), "N/A")
}

// Compare orders identities by their content: field by field in the order of the struct, then Labels.
func (id *Identity) Compare(other *Identity) int {
	a, b := id.fieldPointers(), other.fieldPointers()
	for i := range a {
		if c := strings.Compare(*a[i], *b[i]); c != 0 {
			return c
		}
	}
	return slices.CompareFunc(id.Labels, other.Labels, Label.compareTo)
}

// appendContent writes what an identity says so that equal content, and only that, gives equal bytes.
func (id *Identity) appendContent(dst []byte) []byte {
	for _, f := range id.fieldPointers() {
		dst = appendText(dst, *f)
	}
	for _, l := range id.Labels {
		dst = appendText(appendText(dst, l.Name), l.Value)
	}
	return dst
}

// appendText writes a text with its length.
func appendText[T string | []byte](dst []byte, text T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// IdentityID is 64 bits of hash over an identity's content: equal content, equal id.
type IdentityID uint64

// ID hashes the identity. The hash is stored in projections and never changes for a content.
func (id *Identity) ID() IdentityID {
	var buf [512]byte
	return IdentityID(xxh3.Hash(id.appendContent(buf[:0])))
}
