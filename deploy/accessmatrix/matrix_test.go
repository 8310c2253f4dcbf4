package accessmatrix

import "testing"

func TestStandalone(t *testing.T) {
	t.Parallel()
	startStandalone(t).walk()
}

func TestDaemons(t *testing.T) {
	t.Parallel()
	s := startDaemons(t)
	s.walk()
	s.walkCommands()
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
