package runner

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"wsify/bench/internal/record"
	"wsify/bench/internal/scenario"
)

// climb runs a ramp of connections, where a round does what round says, and returns what it printed and concluded.
func climb(t *testing.T, ctx context.Context, most int, round func(e *scenario.Env) error) (printed, conclusion string, r *record.Record) {
	t.Helper()
	var log strings.Builder
	cfg := config(&scenario.Scenario{Name: "s", Round: round}, "a")
	cfg.Log, cfg.Sizes.Connections = &log, most
	r, err := Ramp(ctx, cfg, "connections", 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return log.String(), r.Notes[len(r.Notes)-1].Text, r
}

// slowAbove is a round of a server that is slow with more connections than it holds.
func slowAbove(holds int) func(e *scenario.Env) error {
	return func(e *scenario.Env) error {
		p99 := 0.01
		if e.Connections > holds {
			p99 = 2
		}
		e.Sample("latency"+scenario.P99, "s", record.Lower, p99)
		return nil
	}
}

func TestARampFindsWhatHolds(t *testing.T) {
	printed, got, r := climb(t, t.Context(), 10000, slowAbove(3000))
	if want := "with a p99 of 100ms at most it holds 3000 connections"; got != want || len(r.Failures) > 0 {
		t.Errorf("%q, want %q; failures %v\n%s", got, want, r.Failures, printed)
	}
	if !strings.Contains(printed, "connections 2000: p99 10ms, it holds\n") || !strings.Contains(printed, "connections 4000: p99 2s, too much\n") {
		t.Errorf("it printed\n%s", printed)
	}
}

func TestARampEndsAtTheMostThatIsAllowed(t *testing.T) {
	for _, most := range []int{700, 300} {
		printed, got, r := climb(t, t.Context(), most, slowAbove(9000))
		if x := *r.Figures[len(r.Figures)-1].X; x != float64(most) || !strings.HasSuffix(got, "the most that was tried (-connections)") {
			t.Errorf("-connections %d: the last step was %v, %q\n%s", most, x, got, printed)
		}
	}
}

func TestARampOfWhichNoStepHoldsSaysSo(t *testing.T) {
	printed, got, r := climb(t, t.Context(), 1000, slowAbove(99))
	if want := "not even 100 connections hold with a p99 of 100ms at most"; got != want || *r.Figures[0].X != 100 {
		t.Errorf("%q, want %q; figures from %v on\n%s", got, want, *r.Figures[0].X, printed)
	}
}

func TestARampOfFailuresIsAFailure(t *testing.T) {
	printed, got, r := climb(t, t.Context(), 1000, func(*scenario.Env) error { return errors.New("broken") })
	if len(r.Failures) == 0 || !strings.Contains(printed, "connections 100: it fails: s a: round 1: broken") {
		t.Errorf("failures %v, %q\n%s", r.Failures, got, printed)
	}
}

func TestAStepThatWasInterruptedIsNotMeasured(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	printed, got, r := climb(t, ctx, 2000, func(e *scenario.Env) error {
		if e.Connections == 1000 {
			cancel(errors.New("time is up"))
		}
		return slowAbove(9000)(e)
	})
	if strings.Contains(printed, "connections 1000:") || got != "interrupted: so far, with a p99 of 100ms at most it holds 500 connections" {
		t.Errorf("%q\n%s", got, printed)
	}
	if len(r.Failures) != 1 || r.Failures[0] != "interrupted: time is up" {
		t.Errorf("failures: %v", r.Failures)
	}
}
