package bounds

// population is a set of names that uploads brought, by their hashes. A ledger's lock guards it.
type population struct {
	members map[uint64]member
	swept   int32 // day of the last sweep
}

// member is a name's state.
type member struct {
	owner uint32 // the file that brought it and is not closed; 0: a closed one has it
	day   int32  // when it was last sent, in days since 1970
}

// memberDays is how long a name that is not sent any more keeps its place from others.
const memberDays = 30

// hasRoom reports whether a name is a member, or can become one of at most that many.
func (p *population) hasRoom(name uint64, most int, today int32) bool {
	if _, found := p.members[name]; found || len(p.members) < most {
		return true
	}
	if p.swept == today {
		return false
	}
	p.swept = today
	for known, m := range p.members {
		if m.owner == 0 && m.day < today-memberDays {
			delete(p.members, known)
		}
	}
	return len(p.members) < most
}

// claimName adds a name for a file. It returns the member as it was, and whether there was one.
func (p *population) claimName(name uint64, file uint32, today int32) (was member, found bool) {
	was, found = p.members[name]
	m := member{owner: file, day: today}
	if found {
		m.owner = was.owner
	}
	if p.members == nil {
		p.members = map[uint64]member{}
	}
	p.members[name] = m
	return was, found
}

// endClaim makes a file's claim of a name permanent, or withdraws it.
func (p *population) endClaim(name uint64, file uint32, keep bool) {
	m, found := p.members[name]
	switch {
	case !found || m.owner != file:
	case keep:
		m.owner = 0
		p.members[name] = m
	default:
		delete(p.members, name)
	}
}

// endClaims does the same for all names of the file.
func (p *population) endClaims(file uint32, keep bool) {
	for name, m := range p.members {
		if m.owner == file {
			p.endClaim(name, file, keep)
		}
	}
}
