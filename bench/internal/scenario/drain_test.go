package scenario

import "testing"

func TestAnEvenPaceHasNoDifferences(t *testing.T) {
	var even, twice []float64
	for i := range 1000 {
		even = append(even, float64(i)/100)
		twice = append(twice, float64(i)/100)
		if 300 <= i && i < 400 {
			twice = append(twice, float64(i)/100)
		}
	}
	if u := unevenness(even); u > 0.01 {
		t.Errorf("an even pace: %v", u)
	}
	if u := unevenness(twice); u < 0.7 {
		t.Errorf("a second with twice as many: %v", u)
	}
	if u := unevenness(nil); u != 0 {
		t.Errorf("nobody: %v", u)
	}
}
