package session

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"

	"wsify/internal/invariants"
	"wsify/internal/testtool"
)

const (
	overRate = `{"id":%d,"ok":false,"error":{"code":"limit","message":"this connection sends too many commands a second"}}`
	okReply  = `{"id":%d,"ok":true}`
)

func joinMessage(id int) string {
	return fmt.Sprintf(`{"command":"join","args":{"channel":"c%d"},"id":%d}`, id, id)
}

// startRated runs a node whose clock the test moves.
func startRated(t testing.TB, cfg Config) (*Server, *fakeClock) {
	t.Helper()
	clock := &fakeClock{}
	cfg.Now = clock.now
	return start(t, cfg), clock
}

// TestTheCommandBeyondTheBurstEndsTheSession: what was sent before takes effect.
func TestTheCommandBeyondTheBurstEndsTheSession(t *testing.T) {
	srv, _ := startRated(t, Config{Limits: Limits{CommandRate: 10, CommandBurst: 3}})
	p, q := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	p.join("a", "b")
	p.send(joinMessage(3))
	p.expectText(fmt.Sprintf(okReply, 3))
	p.send(joinMessage(4))
	p.expectClose(4029)
	testtool.Until(t, "it is counted", func() bool { return srv.Stats().Closed["rate_limited"] == 1 })
	q.join("a", "b", "c") // a bucket of its own
	q.send(joinMessage(4))
	q.expectClose(4029)
}

func TestABucketFillsAtTheRate(t *testing.T) {
	srv, clock := startRated(t, Config{Limits: Limits{CommandRate: 10, CommandBurst: 3, DropOverRate: true}})
	p := connect(t, srv, "/ws")
	ask := func(id int, want string) {
		t.Helper()
		p.send(joinMessage(id))
		p.expectText(fmt.Sprintf(want, id))
	}
	for id := range 3 {
		ask(id, okReply)
	}
	ask(3, overRate)
	clock.move(100*time.Millisecond - 1)
	ask(4, overRate)
	clock.move(1)
	ask(5, okReply)
	ask(6, overRate)
	clock.move(time.Hour)
	for id := range 3 {
		ask(10+id, okReply)
	}
	ask(14, overRate)
	if st := srv.Stats(); st.Dropped["rate"] != 4 || st.NotDone["limit"] != 4 || st.Received["join"] != 11 {
		t.Errorf("dropped %v, refused %v, received %v; want 4, 4 and 11", st.Dropped, st.NotDone, st.Received)
	}
}

// With -rate-policy drop a command without an id is dropped in silence, and counted.
func TestADroppedCommandHasNoEffect(t *testing.T) {
	srv, clock := startRated(t, Config{Limits: Limits{CommandRate: 1, CommandBurst: 2, DropOverRate: true}})
	p := connect(t, srv, "/ws")
	p.join("a")
	p.broadcast("a", "1")
	p.broadcast("a", "2")
	p.send(`{"command":"leave","args":{"channel":"a"}}`)
	p.send(`no command`)
	p.expectText("1")
	p.expectNothing()
	if n := srv.Stats().Dropped["rate"]; n != 3 {
		t.Errorf("%d were dropped, want 3", n)
	}
	clock.move(time.Second)
	p.broadcast("a", "3")
	p.expectText("3")
}

func TestOnlyMessagesCountAsCommands(t *testing.T) {
	srv, _ := startRated(t, Config{Limits: Limits{CommandRate: 1, CommandBurst: 3}})
	p := connect(t, srv, "/ws")
	p.write(strings.Repeat(masked(0x80|opPing, "a")+masked(0x80|opPong, "b"), 50))
	for range 50 {
		p.expect(opPong, "a")
	}
	whole := joinMessage(1)
	p.write(masked(opText, whole[:5]) + masked(opContinuation, whole[5:9]) + masked(0x80|opContinuation, whole[9:]))
	p.expectText(fmt.Sprintf(okReply, 1))
	p.write(masked(0x80|opBinary, joinMessage(2)))
	p.expectText(fmt.Sprintf(okReply, 2))
	p.send("no command") // it costs as much as one
	p.send(joinMessage(4))
	p.expectClose(4029)
}

// A command that waits, for the authorizer or for room, counts once, and what the client
// sends meanwhile counts when its turn comes.
func TestAWaitingCommandCountsOnce(t *testing.T) {
	hook := newWebhook(t, nil)
	srv, _ := startRated(t, Config{AuthorizerURL: hook.URL, Limits: Limits{CommandRate: 1, CommandBurst: 3, DropOverRate: true}})
	p := connect(t, srv, "/ws")
	release := hook.hold(is("join"))
	var all strings.Builder
	for id := range 4 {
		all.WriteString(message(joinMessage(id)))
	}
	p.write(all.String())
	hook.awaitQuestions(1, "join")
	release()
	for id := range 3 {
		p.expectText(fmt.Sprintf(okReply, id))
	}
	p.expectText(fmt.Sprintf(overRate, 3))
	if n := len(hook.questions("join")); n != 3 {
		t.Errorf("the authorizer was asked %d times, want 3: not about the dropped one", n)
	}
}

// A new connection has a full bucket, also in the slot of one that emptied its own.
func TestANewConnectionHasAFullBucket(t *testing.T) {
	srv, _ := startRated(t, Config{Loops: 1, Limits: Limits{CommandRate: 1, CommandBurst: 2}})
	for range 70 { // more than slots are taken in turn
		p := connect(t, srv, "/ws")
		p.join("a", "b")
		p.send(joinMessage(3))
		p.expectClose(4029)
		_ = p.Close()
		idle(t, srv, 0, 0, 0)
	}
}

// naiveBucket is a bucket that is filled again at each tick.
type naiveBucket struct {
	tokens, burst int
	at            uint32
}

func (b *naiveBucket) take(now uint32) bool {
	for ; b.at != now; b.at++ {
		b.tokens = min(b.tokens+1, b.burst)
	}
	if b.tokens == 0 {
		return false
	}
	b.tokens--
	return true
}

// steps takes commands at the times that the script says, in tenths of a tick, and compares
// a bucket with a naive one. start is the first tick, so that ticks may wrap.
func steps(t *testing.T, script []byte, rate, burst int, start uint32) {
	t.Helper()
	clock := &fakeClock{}
	began := clock.now()
	r := bucketRate{rate: uint32(rate), burst: uint32(burst), now: clock.now, began: began}
	clock.move(time.Duration((uint64(start)*uint64(time.Second) + uint64(rate) - 1) / uint64(rate)))
	b, twin := bucket(r.tick()), naiveBucket{tokens: burst, burst: burst, at: r.tick()}
	for i, wait := range script {
		clock.move(time.Duration(wait) * time.Second / time.Duration(10*rate))
		if got, want := r.take(&b, r.tick()), twin.take(r.tick()); got != want {
			t.Fatalf("%d a second, burst %d: command %d at tick %d: %v, want %v", rate, burst, i, r.tick(), got, want)
		}
	}
}

func TestABucketIsLikeANaiveOne(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, rate := range []int{1, 3, 1000} {
		for _, burst := range []int{1, 2, 7, 1000} {
			for _, start := range []uint32{0, 1<<31 - 20, 1<<32 - 20} {
				script := make([]byte, 3000)
				for i := range script {
					if random.IntN(20) == 0 {
						script[i] = byte(random.IntN(256))
					} else {
						script[i] = byte(random.IntN(20))
					}
				}
				steps(t, script, rate, burst, start)
			}
		}
	}
}

func FuzzABucketIsLikeANaiveOne(f *testing.F) {
	f.Add([]byte{0, 0, 0, 5, 5, 100, 0, 0}, uint16(10), uint16(2), uint32(0))
	f.Add([]byte{0, 255, 0, 0}, uint16(999), uint16(1), uint32(1<<32-5))
	f.Fuzz(func(t *testing.T, script []byte, rate, burst uint16, start uint32) {
		steps(t, script, int(max(rate, 1)), int(max(burst, 1)), start)
	})
}

// The clock of the fastest rate does not overflow in the years that a process may run.
func TestTheClockOfARateRunsForYears(t *testing.T) {
	clock := &fakeClock{}
	r := bucketRate{rate: 1_000_000, burst: 1, now: clock.now, began: clock.now()}
	clock.move(100 * 365 * 24 * time.Hour)
	if got, want := r.tick(), uint32(100*365*24*3600*1_000_000%(1<<32)); got != want {
		t.Errorf("after a hundred years the tick is %d, want %d", got, want)
	}
	clock.move(-200 * 365 * 24 * time.Hour) // a clock that was set back
	if got := r.tick(); got != 0 {
		t.Errorf("before the start the tick is %d", got)
	}
}

// With every limit on, an idle connection has 8 bytes more; without, none.
func TestLimitsCostEightBytesAConnection(t *testing.T) {
	if n := unsafe.Sizeof(place(0)) + unsafe.Sizeof(bucket(0)); n != 8 {
		t.Errorf("place and bucket have %d bytes, want 8", n)
	}
	all := Limits{MaxConnections: 10, MaxConnectionsPerAddress: 10, AcceptRate: 100, CommandRate: 10, CommandBurst: 10}
	for _, limits := range []Limits{{}, all} {
		on := limits.MaxConnections > 0
		srv := start(t, Config{Loops: 1, Limits: limits})
		connect(t, srv, "/ws").usable()
		onLoop(t, srv.loops[0], func() {
			if l := srv.loops[0]; l.places.Has(0) != on || l.buckets.Has(0) != on {
				t.Errorf("limits %v: there are places %v, buckets %v", on, l.places.Has(0), l.buckets.Has(0))
			}
		})
	}
}

func TestALimitedCommandDoesNotAllocate(t *testing.T) {
	if raceEnabled || invariants.Enabled {
		t.Skip("the race detector and the assertions allocate on their own account")
	}
	for name, burst := range map[string]int{"within the rate": 1_000_000, "over the rate": 1} {
		t.Run(name, func(t *testing.T) {
			srv, _ := startRated(t, Config{Loops: 1, Limits: Limits{CommandRate: 1, CommandBurst: burst, DropOverRate: true, PublishRate: 1}})
			p := connect(t, srv, "/ws")
			p.join("own")
			say := message(`{"command":"broadcast","args":{"channel":"nobody","content":1}}`)
			x := newExchange(p, strings.Repeat(say, 100)+masked(0x80|opPing, "end"), frameSize("end"))
			noAllocations(t, p, x.do)
		})
	}
}
