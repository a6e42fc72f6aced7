//go:build linux

package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestAVariationMakesACurve(t *testing.T) {
	for _, tt := range []struct {
		vary string
		want []float64
	}{
		{"content=16,64,200", []float64{16, 64, 200}},
		{"server.failing=0,1", []float64{0, 1}}, // which the stand-in takes for no way to fail
		{"paced-time=50ms,100ms", []float64{0.05, 0.1}},
	} {
		t.Run(tt.vary, func(t *testing.T) {
			args := []string{"-run", "fanout", "-vary", tt.vary}
			b := smallBench(t, args...)
			if err := b.runValues(t.Context(), b.record.Command, io.Discard); err != nil {
				t.Fatal(err)
			}
			var xs []float64
			for _, f := range b.record.Figures {
				if f.Server == treeName && f.Name == "CPU, window 1" {
					xs = append(xs, *f.X)
				}
			}
			if !slices.Equal(xs, tt.want) {
				t.Errorf("the curve is at %v, want %v", xs, tt.want)
			}
			if name, _, _ := strings.Cut(tt.vary, "="); b.record.Vary != name {
				t.Errorf("the record says that %q was varied", b.record.Vary)
			}
		})
	}
}

func TestAWrongVariationIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"content":       "want NAME",
		"content=":      "want NAME",
		"=1":            "want NAME",
		"content=1,big": `"big" is neither`,
		"vary=1":        "one flag at a time",
	} {
		if _, err := parseVary(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseVary(%q) = %v, want it to say %q", text, err, want)
		}
	}
	b := smallBench(t, "-run", "fanout", "-vary", "warp=9")
	if err := b.runValues(t.Context(), b.record.Command, io.Discard); err == nil || !strings.Contains(err.Error(), "warp") {
		t.Errorf("runValues = %v, want it to name the flag", err)
	}
}

// executable is this test program, which is a server too.
func executable(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}
