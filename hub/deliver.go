package hub

import (
	"cmp"

	"wsify/internal/buffer"
)

// schedule puts a part on the loop's due list. It is called with the part's shard
// locked, from any goroutine.
func (l *Local) schedule(p *Part) {
	l.mu.Lock()
	l.due = append(l.due, p)
	l.mu.Unlock()
}

// Take makes deliverable what was published since the last call. It returns how
// many parts Next has to look at: those with something to deliver, and those whose
// last slice was returned but is not settled. The loop calls it once a turn.
//
// It swaps the two lists, so a publisher that holds a shard waits no longer when
// there is much to take.
func (l *Local) Take() int {
	l.mu.Lock()
	due := l.due
	l.due, l.spare = l.spare, nil
	l.mu.Unlock()
	for _, p := range due {
		l.active.Push(p)
	}
	if cap(due) <= keepParts {
		clear(due)
		l.spare = due[:0]
	}
	return l.active.Len()
}

// keepParts bounds the lists that are kept for the next turn.
const keepParts = 4096

// Slice is a piece of a fan-out: the same bytes for each of these members.
type Slice struct {
	// Buffer is borrowed until the next call of Next; a connection that queues
	// it retains it.
	Buffer *buffer.Buffer
	// Members is borrowed until the next call of Next, Join, Leave or LeaveAll.
	Members []Member
}

// Next returns the next slice to deliver, of at most limit members, and false when
// nothing is left. A limit below 1 is 1. Parts take turns, so a channel with a
// million members does not keep a small one waiting.
func (l *Local) Next(limit int) (s Slice, ok bool) {
	for l.active.Len() > 0 {
		p := l.active.Pop()
		told := l.advance(p)
		w := p.sweep
		if w == nil {
			l.hub.tell(told)
			continue
		}
		n := min(uint32(min(max(limit, 1), maxSlice)), w.run(uint32(len(p.members))))
		s.Members = p.members[w.cursor : w.cursor+n]
		s.Buffer, l.current = w.joined(), p
		w.cursor += n
		l.active.Push(p) // before foreign code runs, which may panic
		l.hub.tell(told)
		return s, true
	}
	return s, false
}

// Class returns the class of the members that Next returned last. It is not in the Slice,
// which would no longer fit in registers.
func (l *Local) Class() Class { return l.current.key.class() }

// Channel returns the channel of these members.
func (l *Local) Channel() string { return l.current.channel.name }

// maxSlice keeps a limit within the range of a position.
const maxSlice = 1 << 30

// advance removes finished publications from p's sweep and adds what is pending. A
// part with nothing left has no sweep, and is off the list until the next
// publication. It returns the waiters that have room now.
func (l *Local) advance(p *Part) (told *Waiter) {
	s := &l.hub.shards[p.channel.shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.sweep != nil {
		p.sweep.settle(uint32(len(p.members)))
		l.delivered, p.sweep.stamp = cmp.Or(p.sweep.stamp, l.delivered), 0
	}
	if p.pending != nil && (p.sweep == nil || len(p.sweep.live) < maxLive) {
		l.begin(p)
		p.sweep.skip()
	}
	if p.sweep != nil && len(p.sweep.live) == 0 {
		l.giveSweep(p.sweep)
		p.sweep = nil
	}
	if p.sweep == nil {
		p.scheduled = false
	}
	return p.channel.grant(l.hub.maxPending)
}

// Delivered returns the stamp of a publication that every member of one class on this loop
// has been given since the last call, or 0. If there are several, it returns the last.
func (l *Local) Delivered() (stamp int64) {
	stamp, l.delivered = l.delivered, 0
	return stamp
}

// seal starts the round of what is pending now, among the present members: a
// publication is not for a member that joins after it. Needs the shard's lock.
func (l *Local) seal(p *Part) {
	if p.pending != nil {
		l.begin(p)
	}
}

// begin starts the round of what is pending. Needs the shard's lock.
func (l *Local) begin(p *Part) {
	if p.sweep == nil {
		p.sweep = l.takeSweep()
	}
	p.sweep.add(p.pending, uint32(len(p.members)))
	p.pending, p.joined = nil, false
}

// takeSweep and giveSweep keep a few sweeps for the next delivery, so that an idle
// channel has none.
func (l *Local) takeSweep() *sweep {
	n := len(l.sweeps)
	if n == 0 {
		return new(sweep)
	}
	w := l.sweeps[n-1]
	l.sweeps = l.sweeps[:n-1]
	return w
}

func (l *Local) giveSweep(w *sweep) {
	w.forget()
	w.cursor, w.first = 0, 0
	if cap(w.live) > maxLive {
		w.live, w.scratch = nil, nil
	}
	if len(l.sweeps) < keepSweeps {
		l.sweeps = append(l.sweeps, w)
	}
}

// keepSweeps is more than a turn delivers at once.
const keepSweeps = 256
