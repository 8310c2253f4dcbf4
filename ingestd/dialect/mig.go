package dialect

import (
	"slices"
	"strings"
)

// migUUID is the label that keeps the UUID of a MIG instance where its GPU is known.
const migUUID = "mig_uuid"

// resolveInstances moves the UUID of a MIG instance out of the field UUID where the row names the instance's GPU: by
// a UUID of the GPU beside it, or by the form of drivers before 470, which contains the GPU's UUID.
func (s *Source) resolveInstances() {
	if !slices.ContainsFunc(s.observations, observation.isInstance) {
		return
	}
	says := func(is func(observation) bool) bool { return slices.ContainsFunc(s.observations, is) }
	known := says(func(v observation) bool { return v.field == UUID && !v.isInstance() })
	numbered := says(func(v observation) bool { return v.field == MIG })
	for i := range s.observations {
		v := s.observations[i]
		if !v.isInstance() {
			continue
		}
		gpu, instance, old := oldInstance(v.value)
		switch {
		case old:
			s.observations[i].value = gpu
		case known:
			s.observations[i] = observation{field: Label, rank: 1, label: true, name: migUUID, value: v.value}
			instance = v.value
		default:
			continue // normalizeGPU may know the GPU by its index or address
		}
		if !numbered {
			s.observations = append(s.observations, observation{field: MIG, rank: 1, label: true, name: v.name, value: instance})
			numbered = true
		}
	}
}

func (v observation) isInstance() bool { return v.field == UUID && isMIG(v.value) }

func isMIG(uuid string) bool { return strings.HasPrefix(uuid, "MIG-") }

// oldInstance splits MIG-GPU-5fd4…/1/0 into the GPU's UUID, the GPU instance and the compute instance.
func oldInstance(uuid string) (gpu, instance string, ok bool) {
	rest, found := strings.CutPrefix(uuid, "MIG-GPU-")
	gpu, rest, slash := strings.Cut(rest, "/")
	instance, _, _ = strings.Cut(rest, "/")
	_, number := indexOf(instance)
	return "GPU-" + gpu, instance, found && slash && number
}
