package access

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// rememberedAddresses is the number of addresses whose failed logins are counted, the latest ones.
const rememberedAddresses = 10_000

// failedLogins limits the failed logins of an address. Only failures count: callers who are known never wait.
type failedLogins struct {
	every rate.Limit
	burst int

	mu        sync.Mutex
	addresses *lru.Cache[netip.Addr, *rate.Limiter]
}

// newFailedLogins returns a limit of a number of failures per minute, half of which may come at once.
func newFailedLogins(perMinute float64) *failedLogins {
	addresses, _ := lru.New[netip.Addr, *rate.Limiter](rememberedAddresses) // an error only for a size that is not positive
	return &failedLogins{every: rate.Limit(perMinute / 60), burst: max(int(perMinute/2), 1), addresses: addresses}
}

// network returns the network whose failures are counted together: an address, or of version 6 the 64 bits that one machine
// usually has for itself.
func network(address netip.Addr) netip.Addr {
	if !address.Is6() || address.Is4In6() {
		return address.Unmap()
	}
	prefix, _ := address.WithZone("").Prefix(64) // an error only for more bits than an address has
	return prefix.Addr()
}

// note counts a failed login.
func (f *failedLogins) note(address netip.Addr, now time.Time) {
	address = network(address)
	f.mu.Lock()
	defer f.mu.Unlock()
	bucket, ok := f.addresses.Get(address)
	if !ok {
		bucket = rate.NewLimiter(f.every, f.burst)
		f.addresses.Add(address, bucket)
	}
	bucket.AllowN(now, 1)
}

// waitTime returns how long an address has to wait for its next login, 0 if it need not.
func (f *failedLogins) waitTime(address netip.Addr, now time.Time) time.Duration {
	address = network(address)
	f.mu.Lock()
	defer f.mu.Unlock()
	bucket, ok := f.addresses.Get(address)
	if !ok || bucket.TokensAt(now) >= 1 {
		return 0
	}
	seconds := (1 - bucket.TokensAt(now)) / float64(f.every)
	return time.Duration(min(seconds, time.Hour.Seconds()) * float64(time.Second)) // more would not fit for tiny rates
}

// concurrent limits the requests of one caller at a time. It is safe for concurrent use.
type concurrent struct {
	most int
	mu   sync.Mutex
	now  map[string]int // by caller; callers without a request are not in it
}

func newConcurrent(most int) *concurrent { return &concurrent{most: most, now: map[string]int{}} }

// Enter counts a request for its caller until leave is called. It returns a *Refusal, counted and recorded, when the caller has too
// many under way.
func (g *Gate) Enter(r *Request, p *Principal) (leave func(), err error) {
	leave, err = g.calls.enter(CallerKey(p, g.Address(r)))
	if err != nil {
		return nil, g.refuse(r, p, err)
	}
	return leave, nil
}

func (c *concurrent) enter(key string) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now[key] >= c.most {
		return nil, tooMany(time.Second, "you have %d requests under way, which is the most at a time (flag access.concurrent); send the next one when one of them is answered", c.most)
	}
	c.now[key]++
	return func() { c.leave(key) }, nil
}

func (c *concurrent) leave(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now[key]--; c.now[key] <= 0 {
		delete(c.now, key)
	}
}

// CallerKey returns the key by which a caller's share is counted: the principal if it was identified, else the address.
func CallerKey(p *Principal, address netip.Addr) string {
	if p == nil || p.Method == ByNothing {
		return address.String()
	}
	return string(p.Method) + "/" + p.ID
}
