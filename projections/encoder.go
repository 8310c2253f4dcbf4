package projections

// Encoder writes models, and uses its memory again for the next one. The zero Encoder is ready. Not safe for concurrent use.
type Encoder struct{ table names }

// maxKeptNames bounds the table of names that an Encoder keeps: it is cleared for each model.
const maxKeptNames = 1024

// lend returns the table of names, empty. restore takes it back.
func (e *Encoder) lend() names {
	clear(e.table.place)
	return names{list: e.table.list[:0], place: e.table.place}
}

func (e *Encoder) restore(t *names) {
	if e.table = *t; len(t.list) > maxKeptNames {
		e.table = names{}
	}
}

// AppendLive writes l behind dst.
func AppendLive(dst []byte, l *Live) []byte { return new(Encoder).AppendLive(dst, l) }

// AppendIdentity writes id behind dst.
func AppendIdentity(dst []byte, id *Identity) []byte { return new(Encoder).AppendIdentity(dst, id) }

// AppendHostWindow writes s behind dst.
func AppendHostWindow(dst []byte, s *HostWindow) []byte { return new(Encoder).AppendHostWindow(dst, s) }
