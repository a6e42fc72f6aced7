package main

import (
	"math"
	"strings"
	"testing"
	"testing/fstest"
)

// scalePaper builds the paper from one figure, or from none.
func scalePaper(t *testing.T, text string, figures ...figure) (string, error) {
	t.Helper()
	lib := &library{kinds: map[string]*record{}}
	if len(figures) > 0 {
		lib.kinds[nodesKind] = &record{file: "n.json", Figures: figures}
	}
	b := &builder{lib: lib, prose: prose{fstest.MapFS{"scale.md": {Data: []byte(text)}}}, files: map[string][]byte{}}
	err := b.buildScale()
	return string(b.files[scaleFile]), err
}

const calculation = `{{- $a := num "nodes" "engines" "redis" "rate, POST" -}}
{{count (mul $a 100.0)}} {{digits (div (sub $a 1.0) 3.0)}} {{amount (add $a 1.0 2.0) "B"}} {{digits (pow (ceil (div $a 1e4)) 2.0)}} {{record "nodes"}}`

func TestThePaperCalculatesFromTheRecords(t *testing.T) {
	got, err := scalePaper(t, calculation, one("engines", "redis", "rate, POST", "publications/s", 12345))
	if err != nil {
		t.Fatal(err)
	}
	want := "1.23 million 4,110 12.3 KB 4 [n.json](../bench/results/n.json)\n"
	if !strings.HasSuffix(got, "\n\n"+want) {
		t.Errorf("got %q, want it to end with %q", got, want)
	}
}

func TestWhatHasNoRecordIsNotMeasuredYetAndNeitherIsWhatIsMadeOfIt(t *testing.T) {
	got, err := scalePaper(t, calculation)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(got, unmeasured); n != 5 {
		t.Errorf("%d of 5 are not measured yet: %q", n, got)
	}
}

func TestAFigureThatTheRecordLacksIsAnError(t *testing.T) {
	_, err := scalePaper(t, calculation, one("engines", "redis", "rate, WebSocket", "publications/s", 1))
	if err == nil || !strings.Contains(err.Error(), `n.json has no figure "rate, POST" of "redis"`) {
		t.Errorf("buildScale = %v, want it to name the figure", err)
	}
}

func TestCountsAreWrittenToThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1234: "0.123", 1: "1", 16666.7: "16,700", 1.6666e6: "1.67 million", 1e8: "100 million", 2.5e9: "2.5 billion", math.Inf(1): unmeasured} {
		if got := count(v); got != want {
			t.Errorf("count(%v) = %q, want %q", v, got, want)
		}
	}
}
