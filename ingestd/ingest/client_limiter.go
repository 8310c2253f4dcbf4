package ingest

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"telemetry-pipeline/ingestd/answer"
)

// Rates bound how often one client may begin an upload. The zero value of each field means its default.
type Rates struct {
	PerSecond float64 // uploads of one client, on average; default 20,000, more than a server takes in. Negative: no bound
	Burst     int     // uploads at once; default 20,000
	Clients   int     // remembered at a time, the latest ones; default 10,000. It has no flag
}

func (r *Rates) registerFlags(fs *flag.FlagSet) {
	d := r.withDefaults()
	fs.Float64Var(&r.PerSecond, "ingest.client-rate", d.PerSecond,
		"uploads per second of one client (its principal, else its address) on average; more are answered 429; a negative number means no bound")
	fs.IntVar(&r.Burst, "ingest.client-burst", d.Burst, "uploads that one client may begin at once")
}

func (r Rates) withDefaults() Rates {
	r.PerSecond = cmp.Or(r.PerSecond, 20_000)
	r.Burst = cmp.Or(r.Burst, 20_000)
	r.Clients = cmp.Or(r.Clients, 10_000)
	return r
}

func (r Rates) checkFlags() error {
	switch {
	case r.Burst < 0:
		return fmt.Errorf("flag ingest.client-burst is %d; it must be positive", r.Burst)
	case r.Clients < 0:
		return fmt.Errorf("Rates.Clients is %d; it must be positive", r.Clients)
	}
	return nil
}

// clientLimiter counts the uploads of clients. It is safe for concurrent use.
type clientLimiter struct {
	rates   Rates
	clients *lru.Cache[string, *rate.Limiter] // nil: no bound
}

func newClientLimiter(r Rates) *clientLimiter {
	if r.PerSecond < 0 {
		return &clientLimiter{}
	}
	clients, err := lru.New[string, *rate.Limiter](r.Clients)
	if err != nil { // only of a size that is not positive, which was checked
		return &clientLimiter{}
	}
	return &clientLimiter{rates: r, clients: clients}
}

// allowUpload counts an upload of a client. It returns how many more may follow at once, when all may again, and, when
// this one may not, how long to wait; 0: it may.
func (l *clientLimiter) allowUpload(client string, now time.Time) (left int, reset, wait time.Duration) {
	fresh := rate.NewLimiter(rate.Limit(l.rates.PerSecond), l.rates.Burst)
	bucket, known, _ := l.clients.PeekOrAdd(client, fresh)
	if known {
		l.clients.Get(client) // moves it to the front
	} else {
		bucket = fresh
	}
	if !bucket.AllowN(now, 1) {
		wait = l.refillTime(1 - bucket.TokensAt(now))
	}
	tokens := max(bucket.TokensAt(now), 0)
	return int(tokens), l.refillTime(float64(l.rates.Burst) - tokens), wait
}

// waitTime returns how long a client that comes now has to wait, without counting it; 0: it need not.
func (l *clientLimiter) waitTime(client string, now time.Time) time.Duration {
	if l.clients == nil {
		return 0
	}
	if bucket, known := l.clients.Peek(client); known {
		return max(0, l.refillTime(1-bucket.TokensAt(now)))
	}
	return 0
}

// refillTime returns the time until a number of uploads is allowed.
func (l *clientLimiter) refillTime(tokens float64) time.Duration {
	return time.Duration(tokens / l.rates.PerSecond * float64(time.Second))
}

// limitClient lets an upload through unless its client sends too many, and reports the client's state in the
// header fields of draft-ietf-httpapi-ratelimit-headers.
func (s *Server) limitClient(c *fiber.Ctx) error {
	if s.limiter.clients == nil {
		return c.Next()
	}
	left, reset, wait := s.limiter.allowUpload(s.callerOf(c), time.Now())
	c.Set("RateLimit-Limit", strconv.Itoa(s.limiter.rates.Burst))
	c.Set("RateLimit-Remaining", strconv.Itoa(left))
	c.Set("RateLimit-Reset", strconv.Itoa(int(math.Ceil(reset.Seconds()))))
	if wait == 0 {
		return c.Next()
	}
	s.totals.refused.WithLabelValues(answer.CodeTooManyRequests).Inc()
	return s.limiter.refuseClient(wait)
}

// refuseClient returns the refusal of an upload of a client that has to wait.
func (l *clientLimiter) refuseClient(wait time.Duration) *answer.Refusal {
	return answer.Refuse(answer.CodeTooManyRequests,
		"this client begins more than %g uploads per second (flag ingest.client-rate); send several files in one upload, or the file again later",
		l.rates.PerSecond).WithRetryAfter(max(wait, time.Second))
}
