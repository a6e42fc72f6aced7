package lastread

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if ours, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if theirs, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

// arrived returns a connection with text in its socket.
func arrived(t *testing.T, text string) (ours *Conn, theirs net.Conn) {
	t.Helper()
	tcp, theirs := pair(t)
	if _, err := io.WriteString(theirs, text); err != nil {
		t.Fatal(err)
	}
	raw, err := tcp.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	awaitReadable(t, raw)
	return New(tcp, 0), theirs
}

func TestPassedDeadlineReadsWhatIsInTheSocket(t *testing.T) {
	set := map[string]func(net.Conn, time.Time) error{"SetDeadline": net.Conn.SetDeadline, "SetReadDeadline": net.Conn.SetReadDeadline}
	for name, setDeadline := range set {
		for _, ago := range []time.Duration{time.Millisecond, time.Hour} {
			c, _ := arrived(t, "a pong")
			if err := setDeadline(c, time.Now().Add(-ago)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 2)
			for _, want := range []string{"a ", "po", "ng"} { // in pieces, as TLS reads
				if n, err := c.Read(buf); string(buf[:n]) != want || err != nil {
					t.Errorf("%s, passed %s ago: Read = %q, %v, want %q", name, ago, buf[:n], err, want)
				}
			}
		}
	}
}

func TestNothingInTheSocketIsATimeout(t *testing.T) {
	tcp, theirs := pair(t)
	c := New(tcp, 0)
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	for range 3 {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read = %v, want a timeout", err)
		}
	}
	if _, err := io.WriteString(theirs, "late"); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("what came after the last look was read: %d, %v", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Hour)) // a new deadline works as usual
	if n, err := c.Read(make([]byte, 4)); n != 4 || err != nil {
		t.Errorf("Read under a new deadline = %d, %v", n, err)
	}
}

func TestDeadlineSetAgainMeanwhileHolds(t *testing.T) {
	c, _ := arrived(t, "x")
	_ = c.SetReadDeadline(time.Now().Add(time.Hour))
	if !c.extend(os.ErrDeadlineExceeded, &c.read, c.Conn.SetReadDeadline) {
		t.Error("a Read that met an old deadline does not continue under the new one")
	}
	if c.read.extended || time.Until(c.read.due) < time.Minute {
		t.Error("the new deadline was changed")
	}
}

func TestPeersEndIsSeenBehindThePassedDeadline(t *testing.T) {
	c, theirs := arrived(t, "x")
	_ = theirs.Close()
	_ = c.SetReadDeadline(time.Now().Add(-time.Hour))
	if text, err := io.ReadAll(c); string(text) != "x" || err != nil {
		t.Errorf("ReadAll = %q, %v", text, err)
	}
}

func TestReceivePrefersTheValue(t *testing.T) {
	ch := make(chan int, 1)
	for range 100 { // a select chooses at random
		ch <- 7
		if v, ok := Receive(ch, 0); v != 7 || !ok {
			t.Fatalf("Receive = %d, %v", v, ok)
		}
	}
	if _, ok := Receive(ch, time.Millisecond); ok {
		t.Error("a value came from an empty chan")
	}
	close(ch)
	if _, ok := Receive(ch, time.Hour); !ok {
		t.Error("a closed chan is not received from")
	}
}

func TestExtensionIsLongerForWhatIsFoundLate(t *testing.T) {
	for _, tt := range []struct{ ago, patience, want time.Duration }{
		{0, time.Hour, instant}, {2 * lateness, 0, grace}, {2 * lateness, time.Minute, time.Minute}, {time.Hour, 0, grace},
	} {
		before := time.Now()
		due := before.Add(-tt.ago)
		if got := Extended(due, tt.patience).Sub(before); got < tt.want || Late(due) != (tt.want > instant) {
			t.Errorf("due %s ago: late %v, extended by %s, want %s", tt.ago, Late(due), got, tt.want)
		}
	}
}

func TestWritesGoOnBehindThePassedDeadline(t *testing.T) {
	tcp, theirs := pair(t)
	c := New(tcp, 0)
	_ = c.SetWriteDeadline(time.Now().Add(-time.Hour))
	if n, err := io.WriteString(c, "a request"); n != 9 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	_ = tcp.(*net.TCPConn).CloseWrite()
	if text, _ := io.ReadAll(theirs); string(text) != "a request" {
		t.Errorf("the other end has read %q", text)
	}
}

func TestWriteToAPeerThatDoesNotReadIsATimeout(t *testing.T) {
	tcp, _ := pair(t)
	c := New(tcp, 0)
	_ = c.SetDeadline(time.Now().Add(time.Millisecond))
	for range 2 {
		if _, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write = %v, want a timeout", err)
		}
	}
}
