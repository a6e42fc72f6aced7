package redis

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// fakeMaster is a master of a cluster whose answers to publications the test controls.
type fakeMaster struct {
	addr   string
	closed chan struct{} // closed when a connection has ended

	mu    sync.Mutex
	asked []string                             // the publications that came
	says  func(channel, content string) string // the answer to a publication, "" disconnects; nil accepts all
	first string                               // sent before the answer to a PING
}

func newFakeMaster(t *testing.T) *fakeMaster {
	t.Helper()
	l := brokertest.Listen(t)
	f := &fakeMaster{addr: l.Addr().String(), closed: make(chan struct{}, 100)}
	brokertest.Serve(l, func(conn net.Conn) {
		answerCommands(conn, f.answer)
		f.closed <- struct{}{}
	})
	return f
}

func (f *fakeMaster) answer(command string) string {
	words := strings.Split(command, " ")
	switch words[0] {
	case "HELLO":
		return helloMaster
	case "PING":
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.first + "+PONG\r\n"
	case "SPUBLISH":
	default:
		return "-ERR unknown command\r\n"
	}
	f.mu.Lock()
	says := f.says
	f.asked = append(f.asked, words[1]+" "+words[2])
	f.mu.Unlock()
	if says == nil {
		return ":1\r\n"
	}
	return says(words[1], words[2])
}

// wasAsked fails the test unless exactly these publications came.
func (f *fakeMaster) wasAsked(t *testing.T, want ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.asked, want) {
		t.Errorf("%s was asked %q, want %q", f.addr, f.asked, want)
	}
}

// moved returns the answer that names another master.
func (f *fakeMaster) moved(channel string) string {
	return fmt.Sprintf("-MOVED %d %s\r\n", slotOf(channel), f.addr)
}

// Channels of the two masters of publishTo: of slots 12182 and 5061.
const ofFirst, ofSecond = "foo", "bar"

// ownedBy returns a table in which each master owns half of the slots; an empty one owns none.
func ownedBy(upper, lower string) *slotTable {
	t := &slotTable{}
	for slot := range numSlots {
		t.owner[slot] = lower
		if slot >= numSlots/2 {
			t.owner[slot] = upper
		}
	}
	for _, addr := range []string{upper, lower} {
		if addr != "" {
			t.masters = append(t.masters, addr)
		}
	}
	return t
}

// publishTo returns a link that publishes by a table.
func publishTo(t *testing.T, table *slotTable) *clusterLink {
	t.Helper()
	o, err := parseDSN("")
	if err != nil {
		t.Fatal(err)
	}
	l := newClusterLink(brokertest.Nowhere{}, &dialer{o: o, timeout: o.timeout, log: discard, limit: 100}, true)
	l.follow(table)
	t.Cleanup(l.Close)
	return l
}

// outcomes publishes "channel content" pairs as one batch.
func (l *clusterLink) outcomes(t *testing.T, pairs ...string) (errs []error) {
	t.Helper()
	var batch []broker.Publication
	for _, pair := range pairs {
		channel, content, _ := strings.Cut(pair, " ")
		batch = append(batch, broker.Publication{Channel: channel, Content: []byte(content), Err: errors.New("no outcome")})
	}
	l.Publish(t.Context(), batch)
	for i := range batch {
		errs = append(errs, batch[i].Err)
	}
	return errs
}

// are fails the test unless the outcomes are these.
func are(t *testing.T, got []error, want ...error) {
	t.Helper()
	if !slices.EqualFunc(got, want, errors.Is) {
		t.Errorf("outcomes %q, want %q", got, want)
	}
}
