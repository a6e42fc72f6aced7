package netpoll

import "testing"

func TestTheBacklogIsRead(t *testing.T) {
	if n := Backlog(); n < 1 {
		t.Errorf("Backlog() = %d", n)
	}
}
