//go:build linux

package main

import (
	"math"
	"slices"
)

// summary describes samples of one figure.
type summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// summarize returns zeros for no samples. The median of an even number is the mean
// of the two in the middle.
func summarize(samples []float64) summary {
	if len(samples) == 0 {
		return summary{}
	}
	s := slices.Sorted(slices.Values(samples))
	middle := len(s) / 2
	median := s[middle]
	if len(s)%2 == 0 {
		median = (s[middle-1] + s[middle]) / 2
	}
	return summary{Median: median, Min: s[0], Max: s[len(s)-1]}
}

// percentile returns the sample that a share of p of all does not exceed, by
// nearest rank. Sorted must be in order; it returns 0 for no samples.
func percentile(sorted []int64, p float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// ratios divides sample by sample: both were taken in the same round.
func ratios(over, under []float64) []float64 {
	var r []float64
	for i := range min(len(over), len(under)) {
		if under[i] != 0 {
			r = append(r, over[i]/under[i])
		}
	}
	return r
}
