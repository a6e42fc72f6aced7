package broker

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// errBusy is an answer of an engine.
var errBusy = errors.New("busy for the test")

// absent is the twin's standing of a channel that the engine does not know.
const absent = fresh

// tableTwin drives a table and keeps the expected state: which channels have members, which ones
// the engine was asked for and has confirmed, and how many joins wait.
type tableTwin struct {
	*table
	t       *testing.T
	rnd     *rand.Rand
	now     time.Time
	members map[string]time.Time // channels with members, and since when
	left    map[string]time.Time // channels that had members, and since when they have none
	engine  map[string]standing  // asked or inForce, on this link
	open    bool
	renewed int // parts that were renewed since the link was lost
	waits   int // joins that wait for an answer
	answers int
}

func newTableTwin(t *testing.T, seed uint64) *tableTwin {
	return &tableTwin{
		table: newTable(), t: t, rnd: rand.New(rand.NewPCG(seed, 0)), now: time.Now(),
		members: map[string]time.Time{}, left: map[string]time.Time{}, engine: map[string]standing{},
	}
}

// numNames is the number of channels of a twin.
const numNames = 12

// step performs one random operation.
func (w *tableTwin) step() {
	name := fmt.Sprint(w.rnd.IntN(numNames))
	switch w.rnd.IntN(18) {
	case 0, 1, 2:
		w.toggle(name)
	case 3, 4:
		w.await(name)
	case 5, 6, 7:
		w.takeSome()
	case 8, 9:
		w.confirmOne(name)
	case 10:
		w.endOne(name)
	case 11, 12:
		w.sweepOnce()
	case 13:
		w.overdueAll(w.now)
	case 14:
		w.now = w.now.Add(time.Duration(w.rnd.IntN(800)) * time.Millisecond)
	case 15:
		if w.rnd.IntN(4) == 0 {
			w.turnLink()
		}
	case 16:
		w.renewSome()
	case 17:
		w.returned()
	}
	w.check()
}

func (w *tableTwin) toggle(name string) {
	if _, ok := w.members[name]; ok {
		delete(w.members, name)
		w.left[name] = w.now
		w.unwant(name, w.now)
		return
	}
	delete(w.left, name)
	w.members[name] = w.now
	w.want(name)
}

func (w *tableTwin) await(name string) {
	if _, ok := w.members[name]; !ok {
		return
	}
	done := false
	pending, err := w.table.await(name, func(error) {
		if done {
			w.t.Fatal("a join was answered twice")
		}
		done = true
		w.answers++
	}, w.now)
	switch {
	case pending:
		w.waits++
	case err == nil && w.engine[name] != inForce:
		w.t.Fatalf("%s is said to be in force", name)
	case errors.Is(err, ErrDown) && w.open && !w.isDeaf(name):
		w.t.Fatal("the broker is said to be down")
	}
}

// overdueAll answers all joins that have timed out.
func (w *tableTwin) overdueAll(now time.Time) {
	for more := true; more; {
		var late *join
		late, more = w.overdue(now)
		tell(late, errNoAck)
	}
}

func (w *tableTwin) takeSome() {
	if !w.open {
		return
	}
	names, _ := w.take(w.now)
	for _, name := range names {
		if w.engine[name] != absent {
			w.t.Fatalf("%s is asked for twice", name)
		}
		if _, ok := w.members[name]; !ok {
			w.t.Fatalf("%s is asked for without members", name)
		}
		w.engine[name] = asked
	}
}

func (w *tableTwin) confirmOne(name string) {
	if w.engine[name] == asked {
		w.engine[name] = inForce
		first, _ := w.confirm(name, w.now)
		tell(first, nil)
	}
}

func (w *tableTwin) endOne(name string) {
	if w.engine[name] != absent {
		delete(w.engine, name)
		s := w.channels.get(name)
		waits, goesOn := w.waiting[s] != nil, s.wanted && s.refusals == 0
		cause := []error{errBusy, ErrUnreachable, ErrMoved}[w.rnd.IntN(3)]
		first, known := w.end(name, w.now, cause)
		if tell(first, errBusy); !known {
			w.t.Fatalf("%s is not known", name)
		}
		if goesOn = goesOn && cause == ErrMoved; goesOn && !w.isDeaf(name) {
			w.t.Fatalf("%s has moved and is not deaf", name)
		}
		if (w.waiting[s] != nil) != (waits && goesOn) {
			w.t.Fatalf("joins wait for %s: %t, before it ended for %v: %t", name, w.waiting[s] != nil, cause, waits)
		}
	}
}

func (w *tableTwin) sweepOnce() {
	if !w.open {
		return
	}
	names, _ := w.sweep(w.now)
	for _, name := range names {
		if _, ok := w.members[name]; ok || w.engine[name] != inForce {
			w.t.Fatalf("%s is ended: member %t, standing %d", name, ok, w.engine[name])
		}
		if w.now.Sub(w.left[name]) < linger {
			w.t.Fatalf("%s is ended %s after it was left", name, w.now.Sub(w.left[name]))
		}
		delete(w.engine, name)
	}
}

// turnLink loses the link, or opens one.
func (w *tableTwin) turnLink() {
	if w.open {
		clear(w.engine)
		for _, c := range w.linkLost() {
			tell(c.first, ErrDown)
		}
		w.renewed = 0
		if w.waits != w.answers {
			w.t.Fatalf("%d of %d joins are answered after the link was lost", w.answers, w.waits)
		}
	} else {
		for w.renewed < channelParts {
			w.renewSome()
		}
		if w.opened(w.now) < len(w.members) {
			w.t.Fatal("not all members are owed a subscription")
		}
	}
	w.open = !w.open
}

// renewSome renews some more parts after the loss of a link.
func (w *tableTwin) renewSome() {
	for range min(channelParts-w.renewed, channelParts/4) {
		w.renewPart(w.renewed)
		w.renewed++
	}
}

// check compares the counters.
func (w *tableTwin) check() {
	var count [inForce + 1]int
	for _, s := range w.engine {
		count[s]++
	}
	owed, size, deaf := 0, 0, 0
	var sizes [numStandings]int
	for i := range numNames {
		name := fmt.Sprint(i)
		s := w.channels.get(name)
		if s == nil {
			continue
		}
		size++
		w.checkOne(name, s)
		if s.link != w.link {
			continue
		}
		sizes[s.standing]++
		if s.owed {
			owed++
		}
		if s.deaf {
			deaf++
		}
	}
	if n := w.deaf.Load(); n != int64(deaf) {
		w.t.Fatalf("%d channels are deaf, and counted %d", deaf, n)
	}
	w.checkLists(sizes)
	if size != w.channels.size {
		w.t.Fatalf("%d channels are in the table, which says %d", size, w.channels.size)
	}
	for s, c := range w.waiting {
		if s.standing == inForce || c.first == nil || c.of != s {
			w.t.Fatalf("%s has the standing %d, and the joins: %+v", s.name, s.standing, c)
		}
	}
	if n := sizes[inForce] + sizes[left]; sizes[asked] != count[asked] || n != count[inForce] || w.owed != owed {
		w.t.Fatalf("asked %d, in force %d, owed %d; want %d, %d, %d", sizes[asked], n, w.owed, count[asked], count[inForce], owed)
	}
	for name := range w.members {
		if w.channels.get(name) == nil {
			w.t.Fatalf("%s has members and is not in the table", name)
		}
	}
}

// checkLists compares the lists with the expected number of subscriptions of each standing.
func (w *tableTwin) checkLists(want [numStandings]int) {
	if w.sizes != want {
		w.t.Fatalf("of each standing there are %v, want %v", w.sizes, want)
	}
	for of, l := range w.lists {
		n := 0
		var before *subscription
		for s := l.first; s != nil; before, s = s, s.next {
			if n++; s.standing != standing(of) || s.prev != before {
				w.t.Fatalf("%s with the standing %d is on the list of %d", s.name, s.standing, of)
			}
		}
		if n != want[of] || l.last != before {
			w.t.Fatalf("%d are on the list of %d, want %d", n, of, want[of])
		}
	}
}

// checkOne compares the state of one channel.
func (w *tableTwin) checkOne(name string, s *subscription) {
	part := int(maphash.String(w.channels.seed, name) % channelParts)
	if s.link != w.link && (w.open || part < w.renewed) {
		w.t.Fatalf("%s still has the state of the previous link", name)
	}
	standing := s.standing
	switch {
	case s.link != w.link || standing < left:
		standing = absent
	case standing == left:
		standing = inForce
	}
	if _, ok := w.members[name]; ok != s.wanted || standing != w.engine[name] {
		w.t.Fatalf("%s: wanted %t, standing %d; want %t, %d", name, s.wanted, standing, ok, w.engine[name])
	}
}

// settle makes the engine answer everything that is due, and checks that the subscriptions match
// the members.
func (w *tableTwin) settle() {
	if !w.open {
		w.turnLink()
	}
	w.now = w.now.Add(retryAtLast) // every rest is over
	w.returned()
	for range 8 {
		w.takeSome()
		for name := range w.engine {
			w.confirmOne(name)
		}
		w.sweepOnce()
		w.now = w.now.Add(sweepInterval)
		w.check()
	}
	w.overdueAll(w.now.Add(awaitTimeout))
	names := make([]string, 0, len(w.engine))
	for name := range w.engine {
		names = append(names, name)
		if _, ok := w.members[name]; !ok {
			w.t.Fatalf("%s is subscribed to without members", name)
		}
	}
	if len(names) != len(w.members) || w.channels.size != len(w.members) || !w.settled(w.now) {
		w.t.Fatalf("subscribed to %v with members in %d, %d in the table, settled %t", slices.Sorted(slices.Values(names)), len(w.members), w.channels.size, w.settled(w.now))
	}
	if w.waits != w.answers || len(w.waiting) != 0 {
		w.t.Fatalf("%d of %d joins are answered, %d are left", w.answers, w.waits, len(w.waiting))
	}
	if w.sizes[inForce] != len(w.members) {
		w.t.Fatalf("of each standing there are %v", w.sizes)
	}
}

// Whatever happens in whatever order, the engine is asked for the channels that have members, and
// for none twice; each join is answered; and in the end the subscriptions match the members.
func TestTableAgreesWithItsTwin(t *testing.T) {
	for seed := range uint64(2000) {
		w := newTableTwin(t, seed)
		for range 300 {
			w.step()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		w.settle()
	}
}
