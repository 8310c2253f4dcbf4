package model

import (
	"slices"
	"sort"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// store holds keys with their versions, and the log of changes. It is guarded by the lock of its Etcd.
type store struct {
	rev       int64 // the newest
	compacted int64 // earlier revisions are gone
	keys      []string
	versions  map[string][]version // by key, oldest first
	log       []*mvccpb.Event      // in order of revision, from compacted on
}

// version is the state of a key from a revision on.
type version struct {
	mod, create, version, lease int64
	value                       []byte
	deleted                     bool
}

func newStore() store { return store{rev: 1, versions: make(map[string][]version)} }

// keyValue returns a version as a KeyValue that the caller may change.
func (v *version) keyValue(key string) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{Key: []byte(key), Value: v.value, CreateRevision: v.create, ModRevision: v.mod, Version: v.version, Lease: v.lease}
}

// versionAt returns the version of a key at a revision, nil when the key did not exist.
func (s *store) versionAt(key string, rev int64) *version {
	all := s.versions[key]
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].mod <= rev {
			if all[i].deleted {
				return nil
			}
			return &all[i]
		}
	}
	return nil
}

// keysInRange returns the keys of a range that have versions, in order: one key for an empty end, all from key on for the end
// "\x00".
func (s *store) keysInRange(key, end string) []string {
	from := sort.SearchStrings(s.keys, key)
	to := from
	switch {
	case end == "":
		if from < len(s.keys) && s.keys[from] == key {
			to++
		}
	case end == "\x00":
		to = len(s.keys)
	default:
		to = max(from, sort.SearchStrings(s.keys, end))
	}
	return s.keys[from:to]
}

// inRange reports whether k is in a range as defined by keysInRange.
func inRange(k, key, end string) bool {
	switch end {
	case "":
		return k == key
	case "\x00":
		return k >= key
	}
	return k >= key && k < end
}

// addVersion appends a version to a key.
func (s *store) addVersion(key string, v version) {
	if _, known := s.versions[key]; !known {
		i := sort.SearchStrings(s.keys, key)
		s.keys = slices.Insert(s.keys, i, key)
	}
	s.versions[key] = append(s.versions[key], v)
}

// compact drops the history before a revision, but keeps the state of the keys at it.
func (s *store) compact(rev int64) {
	s.compacted = max(s.compacted, rev)
	for key, all := range s.versions {
		kept := 0
		for i := range all {
			if all[i].mod <= rev {
				kept = i
			}
		}
		all = all[kept:]
		if all[0].deleted && all[0].mod <= rev {
			all = all[1:]
		}
		if len(all) == 0 {
			delete(s.versions, key)
			continue
		}
		s.versions[key] = slices.Clone(all)
	}
	s.keys = slices.DeleteFunc(s.keys, func(k string) bool { return s.versions[k] == nil })
	s.log = slices.Clone(s.log[s.logFrom(rev):])
}

// logFrom returns the index in log of the first event of a revision or later.
func (s *store) logFrom(rev int64) int {
	return sort.Search(len(s.log), func(i int) bool { return s.log[i].Kv.ModRevision >= rev })
}
