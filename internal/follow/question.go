package follow

import (
	"time"

	"wsify/broker"
	"wsify/internal/history"
)

// question is what the engine is asked about one channel. With last above zero it is for the
// newest ones, else for what follows after.
type question struct {
	kind  kind
	asked time.Time
	after broker.Position
	last  int

	lapses int // of the channel, when the question was made
}

type kind uint8

const (
	askNothing kind = iota
	askStart        // for the first position of a channel
	askMissing      // for what the members miss
	askOlder        // for what a join needs, and the log does not have
)

// answer is what an engine has said about the past of a channel.
type answer struct {
	asked    time.Time
	after    broker.Position // what it was asked for; zero if nothing
	tail     broker.Position
	complete bool
}

// denies reports whether the answer says that not all is kept that follows p, to a join that
// has begun at some time. What is not kept any more does not come back, so in a storm of
// reconnects one answer is enough. Positions of the future and of other epochs may come from a
// node that is ahead of this one: there the answer has to be newer than the join.
func (a *answer) denies(p broker.Position, began time.Time) bool {
	if !a.complete && p.Epoch == a.after.Epoch && p.Epoch == a.tail.Epoch && p.Offset <= a.after.Offset && a.after.Offset <= a.tail.Offset {
		return true
	}
	return a.asked.After(began) && (p.Epoch != a.tail.Epoch || p.Offset > a.tail.Offset)
}

// behind reports whether something may be missing that the engine was not asked for. A link may
// be lost, and be back, while a question is under way.
func (ch *channel) behind() bool { return ch.lapses != ch.checked }

// question returns what the engine has to be asked. Needs Follower.mu.
func (ch *channel) question() question {
	at, known := ch.log.Position()
	next, most := ch.log.Peek(), ch.most()
	switch {
	case ch.gone:
		return question{}
	case !known:
		return question{kind: askStart, after: most.Since, last: most.Last}
	case ch.behind() || next == history.Read:
		return question{kind: askMissing, after: broker.Position(at), lapses: ch.lapses}
	case len(ch.waiting) == 0:
		return question{}
	case most.Last == 0 && (most.Since.Epoch != at.Epoch || most.Since.Offset > at.Offset):
		return question{kind: askMissing, after: broker.Position(at), lapses: ch.lapses}
	}
	return question{kind: askOlder, after: most.Since, last: most.Last}
}

// most returns the largest wish of the joins that wait: of those that are like the first, the one
// that reaches back the farthest. So its answer serves the others, too.
func (ch *channel) most() (from From) {
	for i, j := range ch.waiting {
		switch {
		case i == 0:
			from = j.From
		case j.Last > 0 && from.Last > 0:
			from.Last = max(from.Last, j.Last)
		case j.Last == 0 && from.Last == 0 && j.Since.Epoch == from.Since.Epoch:
			from.Since.Offset = min(from.Since.Offset, j.Since.Offset)
		}
	}
	return from
}

// isFor reports whether an answer to q is for a join too: if it does not help, the next one may
// not, either.
func (q *question) isFor(from From) bool {
	switch {
	case q.kind == askMissing:
		return from.Last == 0 && (from.Since.Epoch != q.after.Epoch || from.Since.Offset > q.after.Offset)
	case q.last > 0 || from.Last > 0:
		return from.Last > 0 && q.last >= from.Last
	}
	return from.Since.Epoch == q.after.Epoch && from.Since.Offset >= q.after.Offset
}
