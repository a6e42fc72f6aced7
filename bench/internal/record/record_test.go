package record

import (
	"path/filepath"
	"reflect"
	"testing"
)

func TestTheIntervalHoldsTheMedian(t *testing.T) {
	for _, tc := range []struct {
		samples   []float64
		low, high float64
	}{
		{[]float64{5, 1, 3, 2, 4}, 1, 5},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 100}, 2, 8},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 3, 10},
	} {
		if s := Summarize(tc.samples); s.Low != tc.low || s.High != tc.high || s.N != len(tc.samples) {
			t.Errorf("Summarize(%v) = %+v, want %v to %v", tc.samples, s, tc.low, tc.high)
		}
	}
}

func TestVerdicts(t *testing.T) {
	five := func(v float64) []float64 { return []float64{v, v, v, v, v} }
	r := &Record{Figures: []Figure{
		{Scenario: "s", Name: "memory", Server: "a", Better: Lower, Samples: five(150), Goal: &Goal{Max: 200}},
		{Scenario: "s", Name: "cpu", Server: "a", Better: Lower, Samples: five(150), Goal: &Goal{Max: 100}},
		{Scenario: "s", Name: "rate", Server: "a", Better: Higher, Samples: []float64{90, 95, 100, 105, 110}, Goal: &Goal{Max: 100}},
		{Scenario: "s", Name: "ratio", Server: "a", Better: Lower, Samples: []float64{10, 20, 30, 40, 50}, Goal: &Goal{Max: 1.05, Of: "b"}},
		{Scenario: "s", Name: "ratio", Server: "b", Better: Lower, Samples: []float64{10, 20, 30, 40, 50}},
		{Scenario: "s", Name: "few", Server: "a", Samples: []float64{1, 2, 3, 4}},
	}}
	r.Judge()
	want := []string{Met, Missed, Unsure, Met, ""}
	for i, f := range r.Figures {
		if f.Verdict != want[i] {
			t.Errorf("%s: %q, want %q", f.Name, f.Verdict, want[i])
		}
	}
	if len(r.Figures) != 5 || len(r.Notes) != 1 {
		t.Errorf("%d figures, notes %v; want the one with four samples left out", len(r.Figures), r.Notes)
	}
}

func TestARecordIsWrittenOnceAndReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	r := &Record{Version: Version, Remark: "x", Servers: []Server{{Name: "a"}}, Figures: []Figure{}}
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("read %+v, %v", got, err)
	}
	if r.Write(path) == nil {
		t.Error("a record was overwritten")
	}
}
