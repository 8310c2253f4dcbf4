package partition

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"telemetry-pipeline/events"
)

// assignAll returns the top member of each partition.
func assignAll(members []string, partitions int) map[events.Partition]string {
	ranked := make(map[events.Partition]string, partitions)
	for p := range events.Partition(partitions) {
		ranked[p] = topMember(members, p)
	}
	return ranked
}

func randomMembers(rng *rand.Rand, n int) []string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf("%016x", rng.Uint64())
	}
	return members
}

func TestAssignDependsOnTheSetAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		members := randomMembers(rng, 1+rng.IntN(12))
		want := assignAll(members, 64)
		if len(want) != 64 {
			t.Fatalf("got %d partitions assigned, want 64", len(want))
		}
		shuffled := slices.Clone(members)
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := assignAll(shuffled, 64); !maps.Equal(got, want) {
			t.Fatalf("got another assignment for the same members in another order: %v and %v", got, want)
		}
	}
}

func TestAssignMovesOnlyTheNecessary(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		members := randomMembers(rng, 2+rng.IntN(12))
		all, joined := assignAll(members, 64), members[len(members)-1]
		without := assignAll(members[:len(members)-1], 64)
		for p, m := range all {
			if m != joined && without[p] != m {
				t.Fatalf("partition %d moved from %s to %s though %s alone joined", p, without[p], m, joined)
			}
		}
	}
}

// Shares follow a binomial distribution; over many member sets their mean and spread are known.
func TestAssignIsBalanced(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const partitions, rounds = 64, 400
	for _, n := range []int{2, 3, 5, 8} {
		fair := float64(partitions) / float64(n)
		spread := math.Sqrt(fair * (1 - 1/float64(n)))
		var squares float64
		for range rounds {
			members := randomMembers(rng, n)
			shares := make(map[string]int)
			for _, m := range assignAll(members, partitions) {
				shares[m]++
			}
			for _, m := range members {
				off := float64(shares[m]) - fair
				if math.Abs(off) > 6*spread {
					t.Fatalf("%d members: one has %d of %d partitions, want %.1f ± %.1f", n, shares[m], partitions, fair, 6*spread)
				}
				squares += off * off
			}
		}
		if got := math.Sqrt(squares / float64(rounds*n)); got < 0.8*spread || got > 1.2*spread {
			t.Errorf("%d members: got a spread of %.2f partitions, want about %.2f", n, got, spread)
		}
	}
}

// The scores are a protocol between collectors of different builds.
func TestScoreNeverChanges(t *testing.T) {
	got := assignAll([]string{"a", "b", "c"}, 8)
	want := map[events.Partition]string{0: "a", 1: "a", 2: "b", 3: "b", 4: "b", 5: "c", 6: "c", 7: "a"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v: collectors of two builds would fight over partitions", got, want)
	}
}
