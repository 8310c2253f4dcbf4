package live

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// noteUnreadable adds the values of a batch that could not be read, and drops those that the batch replaces.
func (v *view) noteUnreadable(b *projections.Batch) {
	if len(v.unreadable) > 0 {
		written := make(map[events.HostID]*projections.Stored, len(b.Hosts))
		for i := range b.Hosts {
			written[b.Hosts[i].Host] = &b.Hosts[i]
		}
		maps.DeleteFunc(v.unreadable, func(_ string, u projections.Unreadable) bool {
			if _, read := b.Offsets[u.Partition]; u.Kind == "offsets" {
				return read
			}
			h := written[u.Host]
			return h != nil && (h.Removed || u.Kind == "live" && h.Live != nil || u.Kind == "identity" && h.Identity != nil)
		})
	}
	for _, u := range b.Unreadable {
		v.unreadable[u.Key] = u
	}
}

// listUnreadable returns the unreadable values by key.
func (v *view) listUnreadable() []projections.Unreadable {
	if len(v.unreadable) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Values(v.unreadable), func(a, b projections.Unreadable) int { return cmp.Compare(a.Key, b.Key) })
}

// namedUnreadable is the number of values that an error names.
const namedUnreadable = 3

// describeUnreadable returns an error that names the first values and counts the rest, nil for none.
func describeUnreadable(list []projections.Unreadable) error {
	if len(list) == 0 {
		return nil
	}
	all := []error{fmt.Errorf("stored values that cannot be read, and are missing in the view or as they were before: %d", len(list))}
	for _, u := range list[:min(len(list), namedUnreadable)] {
		all = append(all, describeOne(u))
	}
	if more := len(list) - namedUnreadable; more > 0 {
		all = append(all, fmt.Errorf("and %d more; the log names each", more))
	}
	return errors.Join(all...)
}

func describeOne(u projections.Unreadable) error {
	switch u.Kind {
	case "":
		return u.Err
	case "offsets":
		return fmt.Errorf("offsets of partition %d: %w", u.Partition, u.Err)
	default:
		return fmt.Errorf("%s model of host %q in partition %d: %w", u.Kind, u.Host, u.Partition, u.Err)
	}
}
