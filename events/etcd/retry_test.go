package etcd

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestTemporary(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{rpctypes.ErrLeaderChanged, true},
		{rpctypes.ErrTimeoutDueToConnectionLost, true},
		{rpctypes.ErrTooManyRequests, true},
		{rpctypes.ErrAuthOldRevision, true},
		{status.Error(codes.Unavailable, "connection refused"), true},
		{status.Error(codes.Unknown, "raft proposal dropped"), true},
		{fmt.Errorf("attempt: %w", context.DeadlineExceeded), true},
		{rpctypes.ErrNoSpace, false},
		{rpctypes.ErrPermissionDenied, false},
		{rpctypes.ErrAuthFailed, false},
		{rpctypes.ErrRequestTooLarge, false},
		{rpctypes.ErrCorrupt, false},
		{status.Error(codes.ResourceExhausted, "trying to send message larger than max"), false},
		{status.Error(codes.Canceled, "grpc: the client connection is closing"), false},
		{context.Canceled, false},
		{errors.New("something of ours"), false},
	} {
		if got := Temporary(c.err); got != c.want {
			t.Errorf("%v: got temporary %t, want %t", c.err, got, c.want)
		}
	}
}

// TestRetryPauses fails ten times and checks the times of the attempts.
func TestRetryPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		got, err := Write(t.Context(), func(_ context.Context, again bool) (int, error) {
			at = append(at, time.Now())
			if again != (len(at) > 1) {
				t.Errorf("attempt %d: got again %t", len(at), again)
			}
			if len(at) <= 10 {
				return 0, rpctypes.ErrNoLeader
			}
			return 7, nil
		})
		if got != 7 || err != nil || len(at) != 11 {
			t.Errorf("got %d, %v after %d attempts, want 7 after 11", got, err, len(at))
		}
		for i := 1; i < len(at); i++ {
			most := min(minPause<<(i-1), maxPause)
			if d := at[i].Sub(at[i-1]); d < most/2 || d > most {
				t.Errorf("pause %d: got %s, want from %s to %s", i, d, most/2, most)
			}
		}
	})
}

// TestRetryBoundsAttempts has a first attempt without an answer.
func TestRetryBoundsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, attempts := time.Now(), 0
		_, err := Write(t.Context(), func(ctx context.Context, _ bool) (int, error) {
			if attempts++; attempts == 2 {
				return 0, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if err != nil || attempts != 2 || time.Since(start) > AttemptTimeout+minPause {
			t.Errorf("got %v after %d attempts and %s", err, attempts, time.Since(start))
		}
	})
}

func TestRetryEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the part stops")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, cause)
		defer cancel()
		start := time.Now()
		_, err := Write(ctx, func(context.Context, bool) (int, error) { return 0, rpctypes.ErrNoLeader })
		if !errors.Is(err, cause) || !errors.Is(err, rpctypes.ErrNoLeader) || time.Since(start) != 3*time.Second {
			t.Errorf("got %v after %s, want the cause and the last error after 3s", err, time.Since(start))
		}
	})
}
