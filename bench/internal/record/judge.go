package record

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Judge sets the summary and the verdict of each figure, and leaves out figures with fewer than MinSamples
// samples. Samples of figures with a goal of another server are paired round by round.
func (r *Record) Judge() {
	kept := r.Figures[:0]
	for _, f := range r.Figures {
		if len(f.Samples) < MinSamples {
			r.Notes = append(r.Notes, Note{f.Scenario, f.Server, fmt.Sprintf("%s: %d samples are too few for a figure", f.Name, len(f.Samples))})
			continue
		}
		f.Summary = Summarize(f.Samples)
		kept = append(kept, f)
	}
	r.Figures = kept
	for i := range r.Figures {
		if f := &r.Figures[i]; f.Goal != nil {
			f.Verdict = r.verdict(f)
		}
	}
}

func (r *Record) verdict(f *Figure) string {
	s := f.Summary
	if f.Goal.Of != "" {
		other := r.Find(f.Scenario, f.Name, f.Goal.Of, f.X)
		if other == nil {
			return Unsure
		}
		s = Summarize(Ratios(f.Samples, other.Samples))
	}
	switch higher := f.Better == Higher; {
	case s.N < MinSamples:
		return Unsure
	case !higher && s.High <= f.Goal.Max, higher && s.Low >= f.Goal.Max:
		return Met
	case !higher && s.Low > f.Goal.Max, higher && s.High < f.Goal.Max:
		return Missed
	}
	return Unsure
}

// Ratios returns a over b, round by round, as far as both have samples.
func Ratios(a, b []float64) (ratios []float64) {
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return ratios
}

// Find returns a figure, nil when there is none.
func (r *Record) Find(scenario, name, server string, x *float64) *Figure {
	for i := range r.Figures {
		f := &r.Figures[i]
		if f.Scenario == scenario && f.Name == name && f.Server == server && (x == nil) == (f.X == nil) && (x == nil || *x == *f.X) {
			return f
		}
	}
	return nil
}

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
	return Summary{N: n, Median: (s[(n-1)/2] + s[n/2]) / 2, Low: s[k], High: s[n-1-k]}
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
