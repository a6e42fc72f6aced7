package follow

import (
	"time"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/history"
)

// From says where a join begins. The zero value begins now.
type From struct {
	Asked bool            // there is a Since
	Since broker.Position // zero if it cannot be read
	Last  int             // the newest ones instead; zero for none
}

// Join is a join of one connection that is under way. The channel is followed from Begin to Release
// or Finish. In between, Take says what to do next, until it says TakeAll.
//
// It belongs to the goroutine that has begun it. Of the fields, From is to be set before Begin; the
// others are results.
type Join struct {
	From
	Channel []byte          // shared by all that follow it
	At      broker.Position // where the membership begins; zero if it is not known
	Lost    bool            // not all that was missed could be given

	follower *Follower
	joiner   Joiner
	ch       *channel
	began    time.Time
	sent     bool                   // some of it was sent, and the rest follows
	tries    int                    // answers of the engine that did not help, since some was sent
	page     *history.Page[*record] // the last answer; nil when the client had no room
	values   []*record              // what is sent next
}

// Joiner passes news to the goroutine of a join, which gives it to Hear. Tell is called from any
// goroutine, once for each Await, and must not block.
type Joiner interface{ Tell(News) }

// News is an answer of the engine.
type News struct {
	page *history.Page[*record]
	own  bool // the question was for this join too
	err  error
}

// Taken says what a join can do next.
type Taken uint8

// What a join can do next.
const (
	TakeAll   Taken = iota // all that is missed is taken: be a member now, and Send it
	TakeSome               // as much is taken as there is room for, the rest follows: Send it, and Take again
	TakeLater              // there is no room
	TakeNews               // the engine has to be asked: Await
)

// maxTries is how many answers of the engine may not help a join, for example because history
// passes faster than it is read. Then what was missed is lost.
const maxTries = 4

// overhead is what is sent with a publication besides its content, roughly.
const overhead = 64

// Begin begins a join.
func (f *Follower) Begin(j *Join, name []byte, joiner Joiner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := f.channels[string(name)]
	if ch == nil {
		ch = f.followLocked(string(name))
	}
	ch.joins++
	j.follower, j.joiner, j.ch, j.Channel, j.began = f, joiner, ch, ch.name, time.Now()
}

// Release ends a join without a result.
func (j *Join) Release() {
	j.follower.mu.Lock()
	defer j.follower.mu.Unlock()
	j.ch.joins--
	j.follower.forgetLocked(j.ch)
}

// Finish ends a join that has taken effect, and counts it. failed says that it has not, or that it
// is not known what was missed.
func (j *Join) Finish(failed bool) {
	j.Release()
	if !j.Asked {
		return
	}
	result := recovered
	if failed {
		result = unread
	} else if j.Lost {
		result = lost
	}
	j.follower.counts.recoveries[result].Add(1)
}

// Take collects what the join gets next. It is called with the channel's shard of the hub locked, so
// no publication comes between what it collects and the membership. room is how many bytes may be
// queued; with idle, the first publication may be larger.
func (j *Join) Take(room int, idle bool) Taken {
	j.follower.mu.Lock()
	defer j.follower.mu.Unlock()
	given, known := j.ch.log.GivenPosition()
	if !known {
		return TakeNews
	}
	j.At = broker.Position(given)
	if complete := j.collect(given); !complete && !j.hopeless() {
		j.values = j.values[:0]
		return TakeNews
	} else if !complete {
		j.Lost, j.values = true, j.values[:0]
	}
	for i, r := range j.values {
		if room -= len(r.Content) + overhead; room < 0 {
			if i == 0 && idle {
				i = 1
			}
			return j.takeSome(i)
		}
	}
	if room < 0 && j.sent { // the answer, which comes behind, needs room too
		return j.takeSome(0)
	}
	return TakeAll
}

// takeSome takes the first n values that were collected.
func (j *Join) takeSome(n int) Taken {
	if n == 0 {
		j.page, j.values = nil, nil // a client that does not read must not keep a whole history
		return TakeLater
	}
	j.values = j.values[:n]
	return TakeSome
}

// TakeNothing is called in place of Take for a join that does not wait for what it has missed.
func (j *Join) TakeNothing() {
	j.follower.mu.Lock()
	defer j.follower.mu.Unlock()
	given, _ := j.ch.log.GivenPosition()
	j.At, j.Lost = broker.Position(given), true
}

// collect collects what the join gets, from the log and the last page, and reports whether that
// is all. Needs Follower.mu.
func (j *Join) collect(given history.Position) (complete bool) {
	log, now := j.ch.log, time.Now().UnixNano()
	switch {
	case j.Last > 0:
		if j.values, complete = log.Newest(j.values[:0], j.Last, now); !complete && j.page != nil {
			j.values, complete = j.collectPage(given, 0)
			j.values = j.values[max(len(j.values)-j.Last, 0):]
		}
		return complete || j.tries >= maxTries
	case !j.Asked && !j.sent:
		j.values = j.values[:0]
		return true
	}
	since := history.Position(j.Since)
	if j.values, complete = log.After(j.values[:0], since, now); !complete && j.page != nil && j.page.Complete &&
		since.Epoch == j.page.Tail.Epoch && since.Offset >= j.page.From && since.Offset <= j.page.Tail.Offset && since.Offset <= given.Offset {
		j.values, complete = j.collectPage(given, since.Offset)
	}
	return complete
}

// collectPage collects what follows an offset in the last page, and then in the log.
func (j *Join) collectPage(given history.Position, after uint64) (values []*record, complete bool) {
	values = j.values[:0]
	if j.page.Tail.Epoch != given.Epoch {
		return values, false
	}
	for _, e := range j.page.Entries {
		if e.Offset > after && e.Offset <= given.Offset {
			values = append(values, e.Value)
		}
	}
	if j.page.Tail.Offset >= given.Offset {
		return values, true
	}
	return j.ch.log.After(values, j.page.Tail, time.Now().UnixNano())
}

// hopeless reports whether the engine does not help a join that the log cannot serve.
func (j *Join) hopeless() bool {
	return j.Last == 0 && (j.Since == broker.Position{} || j.tries >= maxTries || j.ch.answer.denies(j.Since, j.began))
}

// Send calls send with what Take has collected, one publication after the other, as members of a
// class get it. The bytes are shared: nobody changes them.
func (j *Join) Send(class hub.Class, send func(form []byte)) {
	for _, r := range j.values {
		form, more := r.form(j.follower.members, class)
		send(form)
		if more > 0 {
			j.grow(r, more)
		}
	}
	if n := len(j.values); n > 0 {
		j.Since, j.Last, j.sent, j.tries = j.values[n-1].Head.Position, 0, true, 0
	}
	clear(j.values)
	j.values = j.values[:0]
}

// grow counts the memory of a new form.
func (j *Join) grow(r *record, n int) {
	j.follower.mu.Lock()
	defer j.follower.mu.Unlock()
	j.ch.log.Grow(history.Position(r.Head.Position), n)
}

// Await has the engine asked. The Joiner is told when there is news.
func (j *Join) Await() {
	j.follower.mu.Lock()
	defer j.follower.mu.Unlock()
	j.ch.waiting = append(j.ch.waiting, j)
	j.follower.orderLocked(j.ch)
}

// Hear takes news. An error says that the engine could not be read.
func (j *Join) Hear(n News) error {
	if n.page != nil {
		j.page = n.page
	}
	if n.own {
		j.tries++
	}
	return n.err
}
