package wire

import (
	"bytes"
	"testing"
)

// allocates fails when f, run again and again, allocates.
func allocates(t *testing.T, what string, f func()) {
	t.Helper()
	if raceEnabled {
		t.Skip("pools drop values at random under the race detector")
	}
	if n := testing.AllocsPerRun(500, f); n != 0 {
		t.Errorf("%s: %v allocations, want 0", what, n)
	}
}

// replay passes the chunks to r, each time from a fresh copy in scratch, because
// the Reader unmasks in place.
func replay(t *testing.T, r *Reader, scratch []byte, want int, chunks ...[]byte) {
	count := 0
	for _, chunk := range chunks {
		in := scratch[:copy(scratch, chunk)]
		for {
			_, n, ok, err := r.Next(in, roomy)
			if err != nil {
				t.Fatal(err)
			}
			if in = in[n:]; !ok {
				break
			}
			count++
		}
	}
	if count != want {
		t.Fatalf("%d events, want %d", count, want)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	payload := string(bytes.Repeat([]byte("é"), 2000))
	frame := final(OpText, payload)
	message := join(part(OpText, payload), final(OpPing, "ping"), part(opCont, payload), final(opCont, "end"))
	tests := []struct {
		what   string
		events int
		chunks [][]byte
	}{
		{"whole frame", 1, [][]byte{frame}},
		{"header cut", 1, [][]byte{frame[:3], frame[3:]}},
		{"payload cut in two", 1, [][]byte{frame[:999], frame[999:]}},
		{"fragmented message", 2, [][]byte{message}},
		{"fragmented message in pieces of 100 bytes", 2, pieces(message, 100)},
		{"ping cut in two", 1, [][]byte{final(OpPing, "12345678")[:9], final(OpPing, "12345678")[9:]}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			var r Reader
			scratch := make([]byte, 64<<10)
			allocates(t, tt.what, func() { replay(t, &r, scratch, tt.events, tt.chunks...) })
		})
	}
}

func TestFailingAllocatesNothing(t *testing.T) {
	in := []byte{0x81, 0x05}
	allocates(t, "protocol error", func() {
		var r Reader
		if _, _, _, err := r.Next(in, roomy); err == nil {
			t.Fatal("no error")
		}
		r.Release()
	})
}

func TestAppendingIntoRoomAllocatesNothing(t *testing.T) {
	payload := make([]byte, 300)
	dst := make([]byte, 0, FrameSize(len(payload)))
	allocates(t, "AppendFrame", func() { AppendFrame(dst, OpText, payload) })
	allocates(t, "AppendClose", func() { AppendClose(dst, GoingAway, "the node restarts") })
	allocates(t, "AppendResponse", func() { AppendResponse(dst, 403, "", "denied") })
}

func TestParseCloseAllocatesNothing(t *testing.T) {
	good, bad := []byte("\x03\xe8bye"), []byte("\x03\xed")
	allocates(t, "ParseClose", func() {
		ParseClose(good)
		ParseClose(bad)
	})
}

func TestHandshakeAllocatesNextToNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop values at random under the race detector")
	}
	head := []byte(browserHead)
	dst := make([]byte, 0, 512)
	got := testing.AllocsPerRun(500, func() {
		r, err := ParseRequest(head)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = AppendUpgrade(dst, &r, head); err != nil {
			t.Fatal(err)
		}
	})
	if got > maxHandshakeAllocs {
		t.Errorf("a handshake allocates %v times, want at most %d", got, maxHandshakeAllocs)
	}
}
