package redis

import (
	"fmt"
	"net"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// sayingSentinel returns the address of a sentinel that names a master.
func sayingSentinel(t *testing.T, master string) string {
	host, port, _ := net.SplitHostPort(master)
	return fakeServer(t, map[string]string{"HELLO": "*2\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n", "PING": "+PONG\r\n",
		"SENTINEL": fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port)})
}

// A sentinel that is cut off from the others names a former master, which still takes itself for
// one.
func TestMostSentinelsAreBelieved(t *testing.T) {
	master := map[string]string{"HELLO": helloMaster, "PING": "+PONG\r\n"}
	past, present := fakeServer(t, master), fakeServer(t, master)
	e, err := newEngine(broker.Config{DSN: "redis://" + sayingSentinel(t, past) + "?master_set=m&addr=" + sayingSentinel(t, present) + "&addr=" + sayingSentinel(t, present)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := openFor(t, e, brokertest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := l.(*singleLink).sub.addr; got != present {
		t.Errorf("the link is to %s, want %s; %s is the former master", got, present, past)
	}
	d := &dialer{o: e.o, timeout: e.o.timeout, log: discard}
	if err := d.masterMoved(t.Context(), present); err != nil {
		t.Errorf("the master: %v", err)
	}
	if d.masterMoved(t.Context(), past) == nil {
		t.Error("the former master is still the master")
	}
}
