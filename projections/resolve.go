package projections

import (
	"slices"

	"telemetry-pipeline/events"
)

// Resolve returns the records of a window as views show them: each under the GPU that had its name at its time, with an
// identity that also has the fields that other records of that GPU gave it by then. The argument stays as it is, and may
// be the result. The result is not to be stored.
func (h *Host) Resolve(n *Names, s *HostWindow) HostWindow {
	r := windowResolver{host: h, names: n, window: s}
	for i := range s.Columns {
		if n == nil && i > 0 && s.Columns[i].Identity == s.Columns[i-1].Identity && s.Columns[i].Entity.GPU == s.Columns[i-1].Entity.GPU {
			continue
		}
		if r.resolvesOtherwise(&s.Columns[i]) {
			r.contents, r.completed = make(identitySet, len(s.Identities)), make(map[completion]events.IdentityID)
			return r.resolveAll()
		}
	}
	return *s
}

// windowResolver resolves one window.
type windowResolver struct {
	host      *Host
	names     *Names
	window    *HostWindow
	contents  identitySet
	completed map[completion]events.IdentityID
}

// completion is an identity, completed for a GPU.
type completion struct {
	id  events.IdentityID
	gpu events.GPUID
}

// resolvesOtherwise reports whether a column's records have another GPU or a fuller identity than they say.
func (r *windowResolver) resolvesOtherwise(c *Column) bool {
	if c.Entity.GPU == "" {
		return false
	}
	gpu := r.names.Resolve(c.Entity.GPU, c.Times[0])
	return gpu != c.Entity.GPU || r.names != nil && r.names.until(c.Entity.GPU, c.Times[0]) <= c.Times[len(c.Times)-1] ||
		r.isIncomplete(c.Identity, gpu)
}

// isIncomplete reports whether a GPU had a field at some time that an identity lacks.
func (r *windowResolver) isIncomplete(id events.IdentityID, gpu events.GPUID) bool {
	whole := r.window.Find(id)
	if whole == nil {
		return true
	}
	known, ok := r.host.Identity.Find(gpu)
	if !ok {
		return false
	}
	texts := identityFields(whole)
	return slices.ContainsFunc(known.Runs, func(run Run) bool {
		return run.Field != FieldMIG && run.Field != FieldMIGProfile && *texts[run.Field] == ""
	})
}

func (r *windowResolver) resolveAll() HostWindow {
	columns := make([]Column, 0, len(r.window.Columns))
	for i := range r.window.Columns {
		columns = r.appendResolved(columns, &r.window.Columns[i])
	}
	return r.contents.windowOf(canonicalColumns(columns))
}

// appendResolved appends a column, cut where its name went over to another GPU.
func (r *windowResolver) appendResolved(columns []Column, c *Column) []Column {
	for from := 0; from < c.Len(); {
		piece, to := *c, c.Len()
		if c.Entity.GPU != "" {
			piece.Entity.GPU = r.names.Resolve(c.Entity.GPU, c.Times[from])
			if r.names != nil {
				to = from + max(1, countBefore(c.Times[from:], r.names.until(c.Entity.GPU, c.Times[from])))
			}
		}
		if to-from < c.Len() {
			piece.Samples = c.Slice(from, to)
			piece.Canonical()
		}
		piece.Identity = r.complete(c.Identity, piece.Entity.GPU)
		columns = append(columns, piece)
		from = to
	}
	return columns
}

// complete returns the ID of an identity with the missing fields of its GPU.
func (r *windowResolver) complete(id events.IdentityID, gpu events.GPUID) events.IdentityID {
	key := completion{id, gpu}
	if done, ok := r.completed[key]; ok {
		return done
	}
	whole, done := r.window.Find(id), id
	if whole == nil {
		whole = new(events.Identity)
	}
	if known, ok := r.host.Identity.Find(gpu); ok && gpu != "" {
		copied := *whole
		at := (WindowOf(r.window.firstTime()) + 1).Start() - 1
		fillFields(&copied, slices.DeleteFunc(known.FieldsAt(at), func(s Said) bool {
			return s.Field == FieldMIG || s.Field == FieldMIGProfile
		}))
		if copied.UUID == "" {
			copied.UUID = known.uuid() // of later records too: a name resolves to a GPU before the first record that says so
		}
		if copied.Compare(whole) != 0 {
			whole, done = &copied, copied.ID()
		}
	}
	r.contents[done] = whole
	r.completed[key] = done
	return done
}
