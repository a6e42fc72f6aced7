package scenario

import (
	"errors"
	"sync/atomic"
	"testing"
)

func TestAScriptEndsAtItsFirstError(t *testing.T) {
	broken := errors.New("broken")
	steps := 0
	err := script(func(*Env) {
		steps++
		check(nil)
		steps += must(1, nil)
		check(broken)
		steps++
	})(nil)
	if err != broken || steps != 2 {
		t.Errorf("it ended with %v after %d steps", err, steps)
	}
}

func TestAPanicInAScriptIsNoError(t *testing.T) {
	defer func() {
		if p := recover(); p != "a mistake" {
			t.Errorf("recovered %v", p)
		}
	}()
	t.Error(script(func(*Env) { panic("a mistake") })(nil))
}

func TestALoadIsOverWhenItsMeasurementHasFailed(t *testing.T) {
	var over atomic.Bool
	measured := make(chan struct{})
	err := script(func(*Env) {
		during(func() { <-measured; over.Store(true) }, func() {
			close(measured)
			check(errors.New("broken"))
		})
	})(nil)
	if err == nil || !over.Load() {
		t.Errorf("%v, and the load is over: %t", err, over.Load())
	}
}
