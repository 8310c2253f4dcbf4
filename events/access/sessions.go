package access

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The causes with which the context of a session ends.
var (
	ErrExpired = errors.New("the credentials have expired; connect again with new ones")
	ErrRevoked = errors.New("the credentials were revoked or changed; connect again")
)

// sessions are the open connections of principals. The zero value is empty; it is safe for concurrent use.
type sessions struct {
	mu   sync.Mutex
	open map[*session]struct{}
}

// session is a connection that outlives its request.
type session struct {
	principal *Principal
	cancel    context.CancelCauseFunc
	expiry    *time.Timer // nil: it never expires
}

// Bind returns a context that ends with ErrExpired when the credentials of the principal expire, and with ErrRevoked when they
// are revoked or their rights change. Call end when the session is over.
func (g *Guard) Bind(ctx context.Context, p *Principal) (bound context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(WithPrincipal(ctx, p))
	s := &session{principal: p, cancel: cancel}
	if !p.Expires.IsZero() {
		s.expiry = time.AfterFunc(time.Until(p.Expires), func() { cancel(ErrExpired) })
	}
	g.sessions.addSession(s)
	if !g.isValid(p) { // revoked between its login and now
		cancel(ErrRevoked)
	}
	return ctx, func() { g.sessions.removeSession(s) }
}

func (all *sessions) addSession(s *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.open == nil {
		all.open = map[*session]struct{}{}
	}
	all.open[s] = struct{}{}
}

func (all *sessions) removeSession(s *session) {
	all.mu.Lock()
	defer all.mu.Unlock()
	delete(all.open, s)
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.cancel(context.Canceled)
}

// count returns the number of open sessions.
func (all *sessions) count() int {
	all.mu.Lock()
	defer all.mu.Unlock()
	return len(all.open)
}

// endInvalid ends the sessions of principals that are not valid any more, and returns their number.
func (all *sessions) endInvalid(isValid func(*Principal) bool) int {
	all.mu.Lock()
	open := make([]*session, 0, len(all.open))
	for s := range all.open {
		open = append(open, s)
	}
	all.mu.Unlock()
	ended := 0
	for _, s := range open { // outside the lock: a token of the issuer is verified again
		if !isValid(s.principal) {
			s.cancel(ErrRevoked)
			ended++
		}
	}
	return ended
}
