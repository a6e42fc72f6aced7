package history

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// twin is a log, its engine, and a member of the channel.
type twin struct {
	t      *testing.T
	random *rand.Rand
	engine engine
	set    *Set[string]
	log    *Log[string]
	now    int64

	way   []published // published and not yet arrived
	pages []func()    // answers of the engine that are on their way
	asked bool        // a read is under way
	at    Position    // of the member
	knows bool        // the member has a position
	gaps  int
	joins [2]int                 // that the log could not serve, and could
	truth map[string][]published // by epoch: all that was ever published
}

func newTwin(t *testing.T, seed uint64) *twin {
	random := rand.New(rand.NewPCG(seed, 1))
	set := &Set[string]{Limits: Limits{Size: 1 + random.IntN(6), Memory: int64(random.IntN(60))}}
	w := &twin{t: t, random: random, set: set, log: set.New(), truth: map[string][]published{}}
	w.engine = engine{size: set.Size, strict: random.IntN(2) == 0, random: random}
	return w
}

func (w *twin) publish() {
	w.now++
	p := w.engine.publish(w.now)
	w.truth[p.Epoch] = append(w.truth[p.Epoch], p)
	switch w.random.IntN(8) {
	case 0: // lost on the way
	case 1:
		w.way = append(w.way, p, p)
	case 2:
		w.way = append([]published{p}, w.way...) // it overtakes the others
	default:
		w.way = append(w.way, p)
	}
}

func (w *twin) arrive() {
	if len(w.way) > 0 {
		w.log.Put(w.way[0])
		w.way = w.way[1:]
	}
}

// successor returns the publication after a position in the truth, or nil.
func (w *twin) successor(p Position) *published {
	for i := range w.truth[p.Epoch] {
		if e := &w.truth[p.Epoch][i]; e.Offset > p.Offset {
			return e
		}
	}
	return nil
}

// work does what the log asks for.
func (w *twin) work() {
	w.t.Helper()
	for {
		step, e := w.log.Next()
		switch step {
		case Idle:
			return
		case Deliver:
			if next := w.successor(w.at); w.knows && (next == nil || next.Position != e.Position) {
				w.t.Fatalf("delivered %v after %v; expected %v", e.Position, w.at, next)
			}
			w.log.Given()
			w.at, w.knows = e.Position, true
		case Gap:
			w.log.Given()
			w.at, w.knows = w.position(), true
			w.gaps++
		case Read:
			if !w.asked {
				after, _ := w.log.Position()
				page := w.engine.after(after)
				w.ask(func() { w.log.Fill(after, page) })
			}
			return
		case Start:
			if !w.asked {
				w.begin()
			}
			return
		}
	}
}

func (w *twin) position() Position {
	w.t.Helper()
	p, known := w.log.GivenPosition()
	if !known {
		w.t.Fatal("a log that delivers has no position")
	}
	return p
}

// begin reads the first position.
func (w *twin) begin() {
	page := w.engine.newest(w.random.IntN(4))
	w.ask(func() {
		w.log.Begin(page, false)
		if p, known := w.log.GivenPosition(); known && !w.knows {
			w.at, w.knows = p, true
		}
	})
}

func (w *twin) ask(answer func()) {
	w.asked = true
	w.pages = append(w.pages, answer)
}

func (w *twin) answer() {
	if len(w.pages) > 0 {
		w.pages[0]()
		w.pages, w.asked = w.pages[1:], false
	}
}

// check reads the tail, as after a lost link.
func (w *twin) check() {
	if after, known := w.log.Position(); known && !w.asked {
		page := w.engine.after(after)
		w.ask(func() { w.log.Fill(after, page) })
	}
}

// join compares what a client that joins from a position would get.
func (w *twin) join() {
	w.t.Helper()
	given, known := w.log.GivenPosition()
	if !known {
		return
	}
	all := w.truth[given.Epoch]
	from := Position{Epoch: given.Epoch}
	if n := w.random.IntN(len(all) + 1); n > 0 {
		from = all[n-1].Position
	}
	got, ok := w.log.After(nil, from, w.now)
	w.joins[toInt(ok)]++
	var want []string
	for _, e := range all {
		if e.Offset > from.Offset && e.Offset <= given.Offset {
			want = append(want, e.Value)
		}
	}
	if ok && fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("After(%v) = %v; expected %v", from, got, want)
	}
	if ok && from.Offset > given.Offset {
		w.t.Fatalf("After(%v) is ok, and the members are at %v", from, given)
	}
	if _, ok := w.log.After(nil, given, w.now); !ok && given.Epoch == w.log.last.Epoch && given.Offset >= w.log.floor {
		w.t.Fatalf("After(%v), the position of the members, is not ok", given)
	}
	w.newest(given)
	page := w.engine.after(from)
	if page.Complete && from.Offset < given.Offset {
		w.log.Backfill(page)
	}
}

func (w *twin) newest(given Position) {
	w.t.Helper()
	n := 1 + w.random.IntN(4)
	got, ok := w.log.Newest(nil, n, w.now)
	var want []string
	for _, e := range w.truth[given.Epoch] {
		if e.Offset <= given.Offset {
			want = append(want, e.Value)
		}
	}
	want = want[max(len(want)-n, 0):]
	if len(want) > w.set.Size {
		want = want[len(want)-w.set.Size:]
	}
	if ok && len(got) < min(n, w.present(given)) {
		w.t.Fatalf("Newest(%d) = %v, %t; the engine has %d", n, got, ok, w.present(given))
	}
	if want = want[max(len(want)-len(got), 0):]; fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("Newest(%d) = %v, %t at %v; expected %v", n, got, ok, given, want)
	}
}

// present is how many publications up to given the engine keeps.
func (w *twin) present(given Position) (n int) {
	for _, e := range w.engine.kept() {
		if e.Epoch == given.Epoch && e.Offset <= given.Offset {
			n++
		}
	}
	return n
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sizes compares what the set counts with what it keeps.
func (w *twin) sizes() {
	w.t.Helper()
	var kept, held int64
	for _, e := range w.log.newest {
		kept += int64(e.Size)
	}
	for _, e := range w.log.held {
		held += int64(e.Size)
	}
	if k, h := w.set.Kept(); k != kept || h != held || k > w.set.Memory {
		w.t.Fatalf("the set counts %d and %d bytes; it keeps %d and %d, of %d", k, h, kept, held, w.set.Memory)
	}
	if len(w.log.newest) > w.set.Size {
		w.t.Fatalf("%d entries are kept, of %d", len(w.log.newest), w.set.Size)
	}
}

func (w *twin) step(op int) {
	w.t.Helper()
	switch {
	case op < 8:
		w.publish()
	case op < 16:
		w.arrive()
	case op < 18:
		w.answer()
	case op == 18:
		w.check()
	case op == 19 && w.random.IntN(8) == 0:
		w.way, w.pages, w.asked = nil, nil, false // the link is lost; so are the answers
		w.engine.restart()
	case op == 20 && w.random.IntN(4) == 0:
		w.log.GiveUp()
	case op == 20 && w.log.last.Epoch == w.engine.epoch() && w.log.last.Offset > 0:
		w.engine.gone = len(w.engine.all)
	case op > 20:
		w.join()
	}
	w.work()
	w.sizes()
}

// finish lets everything arrive, and compares the member with the engine.
func (w *twin) finish() {
	w.t.Helper()
	w.engine.publish(w.now)
	w.truth[w.engine.epoch()] = w.engine.all
	w.way = append(w.way, w.engine.all[len(w.engine.all)-1])
	for range 20 {
		w.arrive()
		w.work()
		w.answer()
		w.check()
		w.work()
		w.answer()
		w.work()
	}
	for len(w.way) > 0 {
		w.arrive()
	}
	w.work()
	w.answer()
	w.work()
	if w.at != w.engine.tail() {
		w.t.Fatalf("in the end the member is at %v, and the engine at %v", w.at, w.engine.tail())
	}
	w.log.Close()
	if kept, held := w.set.Kept(); kept != 0 || held != 0 || w.set.first != nil {
		w.t.Fatalf("a closed log keeps %d and %d bytes", kept, held)
	}
}

// Publications that are lost, doubled or overtaken, late answers of the engine and new epochs:
// a member gets exactly the engine's sequence, or is told of a gap and where it goes on.
func TestModel(t *testing.T) {
	var gaps int
	var joins [2]int
	for seed := range uint64(400) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w := newTwin(t, seed)
			w.begin()
			for range 400 {
				w.step(w.random.IntN(24))
			}
			w.finish()
			gaps, joins[0], joins[1] = gaps+w.gaps, joins[0]+w.joins[0], joins[1]+w.joins[1]
		})
	}
	if gaps == 0 || joins[0] == 0 || joins[1] == 0 {
		t.Errorf("%d gaps; %d joins not served, %d served: the scripts try too little", gaps, joins[0], joins[1])
	}
}
