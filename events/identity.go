package events

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

// Label is one further label of the source, kept as it came.
type Label struct{ Name, Value string }

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

// Entity tells whose readings an identity's are, on the given host.
func (id *Identity) Entity(host HostID) Entity { panic("contract") }

// IdentityID is 64 bits of hash over an identity's content: equal content, equal id.
type IdentityID uint64

// ID hashes the identity.
func (id *Identity) ID() IdentityID { panic("contract") }
