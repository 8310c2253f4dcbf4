package accessmatrix

import (
	"sync"
	"testing"
)

func TestStandalone(t *testing.T) {
	t.Parallel()
	startStandalone(t).walk()
}

func TestDaemons(t *testing.T) {
	t.Parallel()
	s := startDaemons(t)
	var waiting sync.WaitGroup
	waiting.Go(s.checkEtcdCommands) // some commands wait long for etcd to let them in
	s.walk()
	s.walkCommands()
	waiting.Wait()
	s.checkExposed()
}

// walk asks for everything as every principal.
func (s *stack) walk() {
	s.walkREST()
	s.walkGraphQL()
	s.walkSockets()
	s.walkUploads()
	s.walkAdmin()
	s.checkAudit()
	s.checkSecrets()
}
