package swarm

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"wsify/bench/internal/ledger"
)

func TestAClientThatIsToldToReconnectComesBack(t *testing.T) {
	var tries atomic.Int32
	to := serve(t, func(c net.Conn) {
		switch tries.Add(1) {
		case 1:
			if _, err := ws.Upgrade(c); err == nil {
				_, _ = c.Write(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1012, ""))))
				_, _ = io.Copy(io.Discard, c)
			}
		case 2:
			_, _ = io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\n\r\n")
		default:
			echo(c)
		}
	})
	s := newSwarm(t)
	if o := opened(s, Plan{Group: "g", Target: to, N: 1, Return: true}); o.Open != 1 {
		t.Fatalf("opened: %+v", o)
	}
	e := ends(s, false)
	for ; len(e.Back) == 0; e = ends(s, false) { // each call waits for the swarm
	}
	if e.Codes[1012] != 1 || e.Open != 1 || len(e.Back) != 1 || e.Refused != 1 || e.Longest <= 0 {
		t.Errorf("ends: %+v", e)
	}
}

// A client that is cut off comes back with its position. What is refused there, or was given up before, does not count.
func TestAClientThatWasCutOffGoesOnFromItsPosition(t *testing.T) {
	for _, tc := range []struct {
		name, recovered    string
		missed             []uint32
		doubles, gaps, lag uint64
	}{
		{"all of it", "true", []uint32{1, 2}, 0, 0, 0},
		{"a part of it", "true", []uint32{2}, 0, 0, 1},
		{"one of them twice", "true", []uint32{1, 1, 2}, 1, 0, 0},
		{"in another order", "true", []uint32{2, 1}, 1, 0, 0},
		{"a gap", "false", nil, 0, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			to := serve(t, func(c net.Conn) {
				if _, err := ws.Upgrade(c); err != nil {
					return
				}
				say := func(text string) { _, _ = c.Write(ws.MustCompileFrame(ws.NewTextFrame([]byte(text)))) }
				message := func(n uint32) {
					say(fmt.Sprintf(`{"type":"message","channel":"d","position":"e-%d","content":%s}`, n+1, ledger.Append(nil, n, 0, 64)))
				}
				join, err := wsutil.ReadClientText(c)
				switch {
				case err != nil:
					return
				case string(join) == `{"id":1,"command":"join","args":{"channel":"d"}}`:
					say(`{"type":"reply","id":1,"ok":true,"position":"e-0"}`)
					message(0)
				case string(join) == `{"id":1,"command":"join","args":{"channel":"d","since":"e-1"}}`:
					for _, n := range tc.missed {
						message(n)
					}
					say(`{"type":"reply","id":1,"ok":true,"recovered":` + tc.recovered + `,"position":"e-3"}`)
					message(4) // 3 was refused
				default:
					t.Errorf("the client sent %s", join)
				}
				_, _ = io.Copy(io.Discard, c)
			})
			s := newSwarm(t)
			if o := opened(s, Plan{Group: "g", Target: to, N: 1, Channel: "d", Joins: 1, Recover: true, Return: true, Drop: 0.2}); o.Open != 1 {
				t.Fatalf("opened: %+v", o)
			}
			want := uint64(len(tc.missed)) + 2 - tc.doubles
			var h Heard
			for end := time.Now().Add(30 * time.Second); (h.Messages < want || len(h.Ends.Back) == 0) && time.Now().Before(end); {
				if err := s.Heard(Args{Group: "g", First: 5, But: []uint32{3}}, &h); err != nil {
					t.Fatal(err)
				}
			}
			if h.Messages != want || h.Doubles != tc.doubles || h.Gaps != tc.gaps || h.Missing != tc.lag || len(h.Ends.Back) != 1 || h.Ends.Longest < 2 {
				t.Errorf("%+v; want %d messages, %d doubles, %d gaps, %d missing", h, want, tc.doubles, tc.gaps, tc.lag)
			}
		})
	}
}
