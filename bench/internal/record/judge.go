package record

import "fmt"

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
