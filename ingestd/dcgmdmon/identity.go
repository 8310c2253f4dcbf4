package dcgmdmon

import (
	"bytes"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// identities caches the identities of rows by their entity and texts.
type identities struct {
	origins *dialect.Origins
	by      map[string]*knownIdentity
	key     []byte
	source  dialect.Source
}

// knownIdentity is an identity, or the reason why there is none.
type knownIdentity struct {
	identity *events.Identity
	fault    *rows.Rejection
	warnings []rows.Rejection
}

func newIdentities(opt dialect.Options) *identities {
	return &identities{origins: dialect.NewOrigins(opt, dialect.NewIdentities()), by: map[string]*knownIdentity{}}
}

// maxIdentities bounds the number of cached identities; a full cache is emptied.
const maxIdentities = 1 << 14

// identityOf returns the identity of an entity whose row has these cells.
func (t *identities) identityOf(e *entity, columns []column, cells [][]byte) *knownIdentity {
	key := append(t.key[:0], e.text...)
	for i := range columns {
		if c := &columns[i]; c.isText(cells[i]) {
			key = append(append(append(key, 0), c.name...), 0)
			key = append(key, cells[i]...)
		}
	}
	t.key = key
	if k := t.by[string(key)]; k != nil {
		return k
	}
	if len(t.by) == maxIdentities {
		clear(t.by)
	}
	k := t.learnIdentity(e, columns, cells)
	t.by[string(key)] = k
	return k
}

// learnIdentity builds an identity.
func (t *identities) learnIdentity(e *entity, columns []column, cells [][]byte) *knownIdentity {
	t.source.Reset()
	t.source.OfHost() // the other parts of a host name no GPU
	if e.gpu >= 0 {
		t.source.Column(dialect.Index, 1, "#Entity", []byte(strconv.Itoa(e.gpu)))
	}
	if !e.whole {
		t.source.Column(dialect.Label, 1, "dcgm_entity", []byte(e.text))
	}
	for i := range columns {
		c := &columns[i]
		if !c.isText(cells[i]) || metric.Token(cells[i]) != events.Present {
			continue
		}
		field := c.field
		if !e.whole || bytes.HasSuffix(cells[i], cutOff) {
			field = dialect.Label
		}
		t.source.Column(field, 1, c.name, cells[i])
	}
	origin := t.origins.Learn(t.key, &t.source)
	k := &knownIdentity{fault: origin.Fault, warnings: origin.Warnings}
	identity := *origin.For(0)
	identity.Part = e.part
	k.identity = &identity
	return k
}
