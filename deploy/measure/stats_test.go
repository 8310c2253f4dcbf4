package measure

import (
	"math"
	"testing"
)

func TestPercentilesAreNearestRanks(t *testing.T) {
	t.Parallel()
	values := []float64{5, 1, 4, 2, 3, 10, 9, 8, 7, 6}
	for _, c := range []struct{ share, want float64 }{{0, 1}, {0.1, 1}, {0.11, 2}, {0.5, 5}, {0.99, 10}, {1, 10}} {
		if got := Percentile(values, c.share); got != c.want {
			t.Errorf("percentile %g is %g, want %g", c.share, got, c.want)
		}
	}
	if got := Percentile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("percentile of nothing is %g, want NaN", got)
	}
	if values[0] != 5 {
		t.Error("the values were sorted in place")
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	if got := Median([]float64{9, 1, 2}); got != 2 {
		t.Errorf("the median of three is %g, want 2", got)
	}
	if got := Median([]float64{4, 1, 2, 100}); got != 3 {
		t.Errorf("the median of four is %g, want 3", got)
	}
	// One slow round of both servers changes no ratio.
	if got := MedianRatio([]float64{2, 200, 2}, []float64{1, 100, 1}); got != 2 {
		t.Errorf("the ratio is %g, want 2", got)
	}
	if got := MedianRatio([]float64{2}, nil); !math.IsNaN(got) {
		t.Errorf("the ratio without a peer is %g, want NaN", got)
	}
}

func TestSlopeIgnoresOutliers(t *testing.T) {
	t.Parallel()
	var x, y []float64
	for i := range 20 {
		x, y = append(x, float64(i)), append(y, 100+3*float64(i))
	}
	y[7], y[15] = 1e6, -1e6
	if got := Slope(x, y); math.Abs(got-3) > 1e-9 {
		t.Errorf("the slope is %g, want 3", got)
	}
	if got := Slope([]float64{1, 1}, []float64{1, 2}); !math.IsNaN(got) {
		t.Errorf("the slope at one x is %g, want NaN", got)
	}
}
