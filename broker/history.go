package broker

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// History says which channels keep what was published to them, and how much of it.
type History struct {
	// Match reports whether a channel keeps history. It must not block, nor keep the name. All nodes
	// have to agree about it: a node without history publishes past it.
	Match func(channel string) bool
	// Size is how many publications a channel keeps, the newest ones.
	Size int
	// TTL is how long a publication is kept.
	TTL time.Duration
	// Memory bounds, in bytes, what Memory keeps of all channels. The least recently published
	// channel loses its history first. Engines have bounds of their own.
	Memory int64
}

// Keeps reports whether a channel keeps history. A nil History keeps none.
func (h *History) Keeps(channel string) bool { return h != nil && h.Match(channel) }

// ErrNoHistory means that the channel, or the broker, keeps no history.
var ErrNoHistory = errors.New("the channel keeps no history")

// Historian is a Broker that keeps history. Publish puts the position of a publication into its
// head, so deliver gets it, with the offset of the publication before: see Head. Content without a
// position was published past the history, by another client of the engine.
//
// Memory delivers every publication itself, so a node misses none, whatever Prev says. A Remote may
// miss some while a subscription is not in force.
type Historian interface {
	Broker

	// ReadHistory reads what was published to a channel after a position, oldest first; with last
	// above zero the newest publications instead, so many at most; and with neither only the tail.
	// It blocks until the engine has answered, for ReadTimeout at most, so it is for workers; ctx is
	// looked at before. An error is one of ErrDown, ErrClosed and ErrNoHistory, or what the engine or
	// ctx says. After ErrDown, a channel that is subscribed to will be reported as resumed.
	ReadHistory(ctx context.Context, channel string, after Position, last int) (Page, error)

	// WhenResumed is called before Start. resumed is called when publications of a channel may have
	// been missed: when its subscription is in force again after it had ended, or its link was lost,
	// and when publications were dropped because its members were behind. It comes before what is
	// received from then on, from any goroutine, and must not block.
	WhenResumed(resumed func(channel string))
}

// Page is what ReadHistory has read.
type Page struct {
	Entries []Entry // owned by the caller; what they refer to is shared, and must not be changed

	// Tail is the position to go on from: that of the last entry if there are any, otherwise that
	// of the newest publication. It is never zero.
	Tail Position

	// Complete is false when something after the position that was asked for may be missing: the
	// position is of another history, or from the future, or something behind it is not kept any
	// more. The entries are all that is kept then. With last it says nothing, and is true.
	Complete bool
}

// Entry is a publication that a history keeps. Its Head has the position.
type Entry struct {
	Head    Head
	Content []byte
}

// positionRoom is the most bytes that a position adds to content: the longest one, with a mark, two
// dashes, a space and a line feed.
const positionRoom = MaxEpoch + 2*20 + 5

// WithPosition returns a copy of content whose head has this position. ok is false when the head has
// another form than without a position.
func WithPosition(content []byte, p Position, prev uint64) (_ []byte, ok bool) {
	b := append(make([]byte, 0, positionRoom+len(content)), HeadMark)
	b = strconv.AppendUint(append(p.append(b), '-'), prev, 10)
	if len(content) == 0 || content[0] != HeadMark {
		return append(append(b, ' ', '\n'), content...), true
	}
	return append(b, content[1:]...), len(content) > 1 && content[1] == ' '
}
