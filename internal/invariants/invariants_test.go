package invariants

import (
	"fmt"
	"strings"
	"testing"
)

func TestCheckPanicsWithTheInvariantsName(t *testing.T) {
	Check(true, "I0: not broken")
	defer func() {
		if got := fmt.Sprint(recover()); got != "invariant broken: I0: 1 is not 2" {
			t.Errorf("Check panics with %q", got)
		}
	}()
	Check(false, "I0: %d is not %d", 1, 2)
}

func TestGoroutineNamesTheCaller(t *testing.T) {
	if !Enabled {
		if Goroutine() != "" {
			t.Error("Goroutine() is not empty without assertions")
		}
		return
	}
	other := make(chan string)
	go func() { other <- Goroutine() }()
	mine, theirs := Goroutine(), <-other
	if mine == theirs || mine != Goroutine() || strings.Trim(mine+theirs, "0123456789") != "" {
		t.Errorf("Goroutine() = %q here, %q elsewhere", mine, theirs)
	}
}
