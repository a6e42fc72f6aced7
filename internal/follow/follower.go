package follow

import (
	"sync"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/history"
	"wsify/internal/ring"
)

// Follower follows the channels that keep history. A node has one if it keeps history at all;
// nothing that is published without a position comes here. Any goroutine may call the methods.
type Follower struct {
	broker  broker.Historian
	keep    *broker.History
	members Members

	counts counts

	// mu is locked with a shard of the hub locked, or alone, and before the broker's table.
	// Nothing is encoded or sent while it is locked.
	mu       sync.Mutex
	set      history.Set[*record]
	channels map[string]*channel
	most     int                 // largest size of channels since it was made
	due      ring.Ring[*channel] // those for which the engine has to be asked
	readers  int                 // goroutines that ask
}

// Members are the members that channels have on this node. A Follower calls the methods from any
// goroutine, with nothing locked. What it passes is shared and read-only.
type Members interface {
	// Give gives a publication to the members of its channel, and calls given as hub.PublishThen does.
	Give(p *Publication, given func())
	// TellGap tells them that something is missing before a position, and calls given like Give.
	TellGap(channel []byte, at broker.Position, given func())
	// AwaitRoom waits until the members have room for size bytes. It may give up after some seconds.
	AwaitRoom(channel []byte, size int)
	// Encode returns a publication as members of a class get it. The caller owns the bytes.
	Encode(p *Publication, class hub.Class) []byte
}

// Publication is what a broker has delivered with a position in its head.
type Publication struct {
	Channel []byte
	Content []byte // without the head
	Head    broker.Head
}

// channel is a channel that is followed. Follower.mu guards all but name and given.
type channel struct {
	name    []byte // immutable
	given   func() // immutable; notes that the members were given the last step, see Members.Give
	log     *history.Log[*record]
	members bool // it has members here
	joins   int  // that wait, or take place now
	gone    bool // it has neither, and is not in Follower.channels any more
	busy    bool // a goroutine carries out the steps of the log
	due     bool // in Follower.due, or being read
	resting bool // the last question has failed: the next one is asked later
	lapses  int  // how often something may be missing, because the link was lost
	checked int  // of these, those after which the engine was asked
	failed  int  // answers in a row that are errors
	downs   int  // questions in a row that did not reach the engine
	waiting []*Join
	answer  answer // the last one
}

// shrinkFrom is the size from which the map of channels is replaced when it becomes empty,
// because Go's maps keep the memory of their largest size.
const shrinkFrom = 1024

// New returns a Follower of the channels that keep history. Call it before the broker is started.
func New(b broker.Historian, keep *broker.History, members Members) *Follower {
	f := &Follower{broker: b, keep: keep, members: members, channels: map[string]*channel{}}
	f.set.Limits = history.Limits{Size: keep.Size, Memory: keep.Memory, TTL: int64(keep.TTL), InOrder: !b.Asynchronous()}
	b.WhenResumed(f.resumed)
	return f
}

// Subscribe implements hub.Watcher. Channels without history are passed on to the broker.
func (f *Follower) Subscribe(name string) {
	if !f.keep.Match(name) {
		f.broker.Subscribe(name)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followLocked(name).members = true
}

// Unsubscribe implements hub.Watcher.
func (f *Follower) Unsubscribe(name string) {
	if !f.keep.Match(name) {
		f.broker.Unsubscribe(name)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if ch := f.channels[name]; ch != nil {
		ch.members = false
		f.forgetLocked(ch)
	}
}

// followLocked returns a channel. If it is not followed yet, it is subscribed to.
func (f *Follower) followLocked(name string) *channel {
	ch := f.channels[name]
	if ch == nil {
		ch = &channel{name: []byte(name), log: f.set.New()}
		ch.given = func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			ch.log.Given()
		}
		f.channels[name] = ch
		f.most = max(f.most, len(f.channels))
		f.broker.Subscribe(name)
	}
	return ch
}

// forgetLocked forgets a channel that need not be followed.
func (f *Follower) forgetLocked(ch *channel) {
	if ch.members || ch.joins > 0 || ch.busy || ch.gone {
		return
	}
	ch.gone = true
	ch.log.Close()
	delete(f.channels, string(ch.name))
	if len(f.channels) == 0 && f.most >= shrinkFrom {
		f.channels, f.most = map[string]*channel{}, 0
	}
	f.broker.Unsubscribe(string(ch.name))
}

// resumed notes that something may be missing, because the subscription of a channel has ended
// meanwhile, or its link was lost. The broker calls it.
func (f *Follower) resumed(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ch := f.channels[name]; ch != nil {
		ch.lapses, ch.resting, ch.failed, ch.downs = ch.lapses+1, false, 0, 0
		f.orderLocked(ch)
	}
}
