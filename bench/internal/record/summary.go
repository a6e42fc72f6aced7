package record

import (
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Summary is what the samples say: their median, and an interval that holds the true median with a probability
// of 95 percent, whatever their distribution (93.75 with five samples, the most that five can say).
type Summary struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Summarize returns the summary of samples; none are changed. With no samples it is zero.
func Summarize(samples []float64) Summary {
	n := len(samples)
	if n == 0 {
		return Summary{}
	}
	s := slices.Sorted(slices.Values(samples))
	k := cut(n)
	return Summary{N: n, Median: median(s), Low: s[k], High: s[n-1-k]}
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// cut is how many samples are outside the interval on each side: the most for which the order statistics that
// are left hold the median with 95 percent (a sign test).
func cut(n int) (k int) {
	below := distuv.Binomial{N: float64(n), P: 0.5}
	for 2*below.CDF(float64(k+1)) <= 0.05 {
		k++
	}
	return k
}
