package bounds

// population is a set of names that uploads brought, by their hashes. A ledger's lock guards it.
type population struct {
	members map[uint64]member
	count   *int  // of the members of several populations; may be nil
	swept   int32 // day of the last sweep

	brought map[sender]int // number of members that each sender brought; nil until it is needed
}

// member is a name's state.
type member struct {
	owner uint32 // the file that brought it and is not closed; 0: a closed one has it
	day   int32  // when it was last sent, in days since 1970
	by    sender // who brought it first
}

// memberDays is how long a name that is not sent any more keeps its place from others.
const memberDays = 30

// hasRoom reports whether all names are members, or can become some of at most that many.
func (p *population) hasRoom(most int, today int32, names ...uint64) bool {
	added := 0
	for _, name := range names {
		if _, found := p.members[name]; !found {
			added++
		}
	}
	if added == 0 || len(p.members)+added <= most {
		return true
	}
	return p.sweep(today) && len(p.members)+added <= most
}

// hasShare reports whether all names are members, or can become some of at most that many that a sender brought.
func (p *population) hasShare(by sender, most int, today int32, names ...uint64) bool {
	if by == nobody || len(p.members)+len(names) <= most {
		return true
	}
	p.countBrought()
	added := 0
	for _, name := range names {
		if _, found := p.members[name]; !found {
			added++
		}
	}
	return added == 0 || p.brought[by]+added <= most || p.sweep(today) && p.brought[by]+added <= most
}

// countBrought counts the members of each sender, which put and remove keep current from then on. Most populations are never so
// large that it is needed.
func (p *population) countBrought() {
	if p.brought != nil {
		return
	}
	p.brought = map[sender]int{}
	for _, m := range p.members {
		p.brought[m.by]++
	}
}

// sweep removes the names that were not sent for long. It does so once a day, and returns false on further calls.
func (p *population) sweep(today int32) bool {
	if p.swept == today {
		return false
	}
	p.swept = today
	for known, m := range p.members {
		if m.owner == 0 && m.day < today-memberDays {
			p.remove(known)
		}
	}
	return true
}

// put adds a name, or replaces its state but who brought it.
func (p *population) put(name uint64, m member) {
	before := len(p.members)
	if was, found := p.members[name]; found {
		m.by = was.by
	} else if p.brought != nil {
		p.brought[m.by]++
	}
	if p.members == nil {
		p.members = map[uint64]member{}
	}
	p.members[name] = m
	if p.count != nil {
		*p.count += len(p.members) - before
	}
}

func (p *population) remove(name uint64) {
	before := len(p.members)
	if was, found := p.members[name]; found && p.brought != nil {
		if p.brought[was.by]--; p.brought[was.by] == 0 {
			delete(p.brought, was.by)
		}
	}
	delete(p.members, name)
	if p.count != nil {
		*p.count += len(p.members) - before
	}
}

// claimName adds a name for a file of a sender. It returns the member as it was, and whether there was one.
func (p *population) claimName(name uint64, file uint32, by sender, today int32) (was member, found bool) {
	was, found = p.members[name]
	switch {
	case !found:
		p.put(name, member{owner: file, day: today, by: by})
	case was.day != today:
		p.members[name] = member{owner: was.owner, day: today, by: was.by}
	}
	return was, found
}

// endClaim makes a file's claim of a name permanent, or withdraws it.
func (p *population) endClaim(name uint64, file uint32, keep bool) {
	m, found := p.members[name]
	switch {
	case !found || m.owner != file:
	case keep:
		m.owner = 0
		p.put(name, m)
	default:
		p.remove(name)
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
