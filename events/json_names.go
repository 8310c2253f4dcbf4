package events

// Field is a field of an Identity, a record or an event that has a member in JSON.
type Field uint8

// The fields. The text fields of an Identity come first, in the order of Identity.fieldPointers.
const (
	FieldUUID Field = iota
	FieldIndex
	FieldPCI
	FieldDevice
	FieldModel
	FieldDriver
	FieldMIG
	FieldMIGProfile
	FieldPod
	FieldNamespace
	FieldContainer
	FieldPart
	FieldLabels
	FieldGPU // the id of the entity's GPU

	FieldAt
	FieldMetric
	FieldSource
	FieldValue
	FieldAbsent
	FieldRaw

	FieldHost
	FieldHostname // the host, as an attribute of the identity
	FieldKey
	FieldRevision
	FieldDamage
	FieldAppendedAt
	FieldUpload
	FieldSequence
	FieldZone
	FieldFirst
	FieldLast
	FieldRecords
	FieldGPUs
	FieldMetrics
	fieldCount

	// Always is a flag for a field that is written even if it is empty. Other empty fields are left out.
	Always Field = 1 << 7
)

// Naming is a set of member names.
type Naming uint8

// RowNames are the names of the DCGM long form, in which events are stored, exported and imported. QueryNames are the
// names of the query API and of the lines of a tail.
const (
	RowNames Naming = iota
	QueryNames
	namings
)

// fieldNames is the table of all member names, by Field. An empty name means that the naming has no such member.
// Read-only.
var fieldNames = [fieldCount][namings]string{
	FieldUUID:       {"uuid", "uuid"},
	FieldIndex:      {"gpu_id", "gpu_id"},
	FieldPCI:        {"pci_bus_id", "pci_bus_id"},
	FieldDevice:     {"device", "device"},
	FieldModel:      {"modelName", "model_name"},
	FieldDriver:     {"driver_version", "driver_version"},
	FieldMIG:        {"GPU_I_ID", "mig_instance_id"},
	FieldMIGProfile: {"GPU_I_PROFILE", "mig_profile"},
	FieldPod:        {"pod", "pod"},
	FieldNamespace:  {"namespace", "namespace"},
	FieldContainer:  {"container", "container"},
	FieldPart:       {"entity_part", "part"},
	FieldLabels:     {"labels", "labels"},
	FieldGPU:        {"", "id"},

	FieldAt:     {"timestamp", "timestamp"},
	FieldMetric: {"canonical_name", "metric"},
	FieldSource: {"metric_name", "source"},
	FieldValue:  {"value", "value"},
	FieldAbsent: {"absent", "absent"},
	FieldRaw:    {"raw", "absent_text"},

	FieldHost:       {"", "host_id"},
	FieldHostname:   {"Hostname", "hostname"},
	FieldKey:        {"", "key"},
	FieldRevision:   {"", "revision"},
	FieldDamage:     {"", "damage"},
	FieldAppendedAt: {"event_appended_at", "appended_at"},
	FieldUpload:     {"event_upload", "upload_id"},
	FieldSequence:   {"event_sequence", "sequence"},
	FieldZone:       {"event_zone", "assumed_zone"},
	FieldFirst:      {"", "first_timestamp"},
	FieldLast:       {"", "last_timestamp"},
	FieldRecords:    {"", "record_count"},
	FieldGPUs:       {"", "gpu_ids"},
	FieldMetrics:    {"", "metrics"},
}

// Name returns the name of the field's member, or "" if the naming has no such member.
func (f Field) Name(n Naming) string { return fieldNames[f][n] }
