package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// found passes p in pieces of n bytes and removes what FindControl finds. It
// returns that and the rest.
func found(p []byte, n int) (controls []string, rest []byte) {
	next := 0
	for len(p) > 0 {
		piece := min(n, len(p))
		rest, p = append(rest, p[:piece]...), p[piece:]
		for {
			c, at, ok := FindControl(rest, next, false)
			next = at
			if !ok {
				break
			}
			controls = append(controls, fmt.Sprintf("%x %s", c.Op, c.Payload))
			rest = slices.Delete(rest, c.Start, c.End)
		}
	}
	return controls, rest
}

func frameOf(op ws.OpCode, fin bool, payload string) []byte {
	f := ws.MaskFrame(ws.NewFrame(op, fin, []byte(payload)))
	return ws.MustCompileFrame(f)
}

func TestControlsAreFoundAmongDataHoweverItIsCut(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	data := slices.Concat(frameOf(ws.OpText, true, "a"), frameOf(ws.OpText, false, "frag"), frameOf(ws.OpContinuation, true, "ment"),
		frameOf(ws.OpBinary, true, strings.Repeat("y", 300)), frameOf(ws.OpText, true, long))
	all := slices.Concat(frameOf(ws.OpPing, true, "1"), frameOf(ws.OpText, true, "a"), frameOf(ws.OpText, false, "frag"),
		frameOf(ws.OpPong, true, ""), frameOf(ws.OpPing, true, strings.Repeat("p", 125)), frameOf(ws.OpContinuation, true, "ment"),
		frameOf(ws.OpBinary, true, strings.Repeat("y", 300)), frameOf(ws.OpText, true, long), frameOf(ws.OpPing, true, "end"))
	want := []string{"9 1", "a ", "9 " + strings.Repeat("p", 125), "9 end"}
	for _, n := range []int{1, 2, 7, 1000, len(all)} {
		controls, rest := found(all, n)
		if !slices.Equal(controls, want) || len(rest) != len(data) {
			t.Errorf("in pieces of %d bytes: found %q, and %d bytes are left, want %q and %d", n, controls, len(rest), want, len(data))
		}
		var r Reader
		var texts int
		for used := 0; used < len(rest); {
			_, took, ok, err := r.Next(rest[used:], 1<<20)
			if err != nil || !ok {
				t.Fatalf("what is left cannot be read: %v", err)
			}
			used += took
			texts++
		}
		if texts != 4 {
			t.Errorf("%d messages are left, want 4", texts)
		}
		r.Release()
	}
}

func TestNothingIsLookedForBehindACloseOrABreach(t *testing.T) {
	ping := frameOf(ws.OpPing, true, "x")
	for name, before := range map[string][]byte{
		"a Close frame":    frameOf(ws.OpClose, true, ""),
		"no mask":          ws.MustCompileFrame(ws.NewTextFrame([]byte("x"))),
		"a reserved bit":   {0xc1, 0x80, 0, 0, 0, 0},
		"a ping in pieces": frameOf(ws.OpPing, false, "x"),
		"a length below 0": {0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"a huge length":    {0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
	} {
		all := slices.Concat(before, ping)
		if controls, rest := found(slices.Clone(all), 1); len(controls) > 0 || !slices.Equal(rest, all) {
			t.Errorf("%s: found %q", name, controls)
		}
	}
}
