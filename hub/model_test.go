package hub

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Random operations on several loops, with slices of any size and memberships that
// change during slices, agree with a naive twin: a member gets each publication
// once and in order, and other connections get nothing.
func TestModel(t *testing.T) {
	scripts := 100
	if testing.Short() || raceEnabled {
		scripts = 25
	}
	for seed := range scripts {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(seed), 1))
			script := make([]byte, 1000)
			for i := range script {
				script[i] = byte(random.Uint32())
			}
			newTwin(t).run(script)
		})
	}
}

// FuzzDeliver runs operation scripts against the twin.
func FuzzDeliver(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 7, 0, 0, 0, 0, 10, 0, 0, 12, 0, 0, 5})
	// Two members, a slice of one; the member that was served leaves.
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 0, 7, 0, 0, 0, 0, 10, 0, 0, 12, 0, 0, 1, 4, 0, 0, 0})
	// A publication, then the only member leaves and another joins.
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 0, 7, 0, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 0, 7, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4096 {
			t.Skip("long scripts find nothing that short ones do not")
		}
		newTwin(t).run(script)
	})
}

// run executes a script: each operation is a byte, followed by its arguments.
func (w *twin) run(script []byte) {
	w.t.Helper()
	limits := []int{0, 1, 2, 3, 7, 1 << 33, -1}
	arg := func(n int) int {
		if len(script) == 0 {
			return 0
		}
		b := script[0]
		script = script[1:]
		return int(b) % n
	}
	channel := func() string {
		if n := arg(256); n < 200 {
			return twinChannels[n%3] // mostly few, so that operations collide
		}
		return twinChannels[arg(len(twinChannels))]
	}
	for len(script) > 0 {
		op, loop := arg(19), arg(twinLoops)
		conn := uint32(arg(twinConns))
		switch op {
		case 0, 1, 2, 3:
			w.join(loop, conn, channel())
		case 4, 5:
			w.leave(loop, conn, channel())
		case 6:
			w.leaveAll(loop, conn)
		case 7, 8, 9:
			w.publish(channel(), arg(60)/20*10)
		case 10, 11:
			w.take(loop)
		case 12, 13:
			w.next(loop, limits[arg(len(limits))])
		case 18:
			w.except = w.except[:0:0]
			for range arg(4) {
				w.except = append(w.except, twinID(arg(twinLoops), uint32(arg(twinConns))))
			}
		case 14:
			w.awaitRoom(channel(), arg(2*twinLimit), arg(4) == 0)
		case 15:
			first := arg(len(twinChannels))
			for _, name := range slices.Concat(twinChannels[first:], twinChannels[:first])[:arg(len(twinChannels))] {
				w.join(loop, conn, name)
			}
		case 16, 17:
			w.goOn(channel(), arg(8), arg(2) == 0)
		}
		w.check()
	}
	w.finish()
}
