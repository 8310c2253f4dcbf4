package events

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"
)

// HostID is the name of a host in its telemetry.
type HostID string

// GPUID identifies a GPU in every view. It is the GPU's UUID if it has a real one, else "host:index", else
// "host:pci-address".
type GPUID string

// Entity is the subject of a reading: a GPU (Part is "") or a part of it with readings of its own, written kind:id
// ("mig:1", "nvlink:3", "pid:4711").
type Entity struct {
	GPU  GPUID
	Part string
}

// Compare orders entities by GPU, the GPU itself before its parts.
func (e Entity) Compare(f Entity) int {
	if c := strings.Compare(string(e.GPU), string(f.GPU)); c != 0 {
		return c // most pairs differ in their GPU, and sorting a fleet calls this often
	}
	return strings.Compare(e.Part, f.Part)
}

// Label is an additional label of the source, unchanged.
type Label struct{ Name, Value string }

// compareTo orders labels by name, then value.
func (l Label) compareTo(m Label) int {
	return cmp.Or(strings.Compare(l.Name, m.Name), strings.Compare(l.Value, m.Value))
}

// Identity holds all attributes of a reading's origin in the source, besides metric, time and value. Empty fields are
// unknown. Labels are sorted by name and hold only attributes without a field here, and values that contradict a
// field (as <name>_label).
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

// identityFields is the number of fields of an Identity besides Labels.
const identityFields = 12

// fieldPointers returns all fields but Labels, in the order of comparison, hashing and storage. Stored data depends
// on the order; never change it.
func (id *Identity) fieldPointers() [identityFields]*string {
	return [identityFields]*string{
		&id.UUID, &id.Index, &id.PCI, &id.Device, &id.Model, &id.Driver, &id.MIG, &id.MIGProfile,
		&id.Pod, &id.Namespace, &id.Container, &id.Part,
	}
}

// Entity returns the subject of the identity's readings on the given host. Its GPU is "" if the identity names none,
// as for a reading of the host itself or of another device.
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

// RealUUID reports whether a UUID identifies one GPU. Masked captures have all zeros, and tools write N/A.
func RealUUID(uuid string) bool {
	rest := strings.TrimPrefix(strings.TrimPrefix(uuid, "MIG-"), "GPU-")
	return strings.Trim(rest, "0-") != "" && !strings.EqualFold(strings.Trim(rest, "[]"), "N/A")
}

// Compare orders identities by their content: by the fields in the order of the struct, then by Labels.
func (id *Identity) Compare(other *Identity) int {
	a, b := id.fieldPointers(), other.fieldPointers()
	for i := range a {
		if c := strings.Compare(*a[i], *b[i]); c != 0 {
			return c
		}
	}
	return slices.CompareFunc(id.Labels, other.Labels, Label.compareTo)
}

// appendContent appends an encoding of the identity's content. Two identities have the same bytes if and only if
// their content is equal.
func (id *Identity) appendContent(dst []byte) []byte {
	for _, f := range id.fieldPointers() {
		dst = appendText(dst, *f)
	}
	for _, l := range id.Labels {
		dst = appendText(appendText(dst, l.Name), l.Value)
	}
	return dst
}

// appendText appends a text after its length.
func appendText[T string | []byte](dst []byte, text T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// IdentityID is a 64-bit hash of an identity's content: equal content has an equal id.
type IdentityID uint64

// ID returns the hash of the identity. It is stored in projections and never changes for the same content.
func (id *Identity) ID() IdentityID {
	var buf [512]byte
	return IdentityID(xxh3.Hash(id.appendContent(buf[:0])))
}
