package session

import (
	"errors"
	"sync"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/history"
	"wsify/internal/ring"
)

// trackers follows the channels that keep history: what their members were given, and the
// newest publications, so that a client that comes back gets what it missed. A node has one if
// it keeps history at all; nothing that is published without a position comes here.
//
// A channel has a tracker while it has members here, or joins that wait. Any goroutine may
// call the methods.
type trackers struct {
	node   *Node
	source broker.Historian
	keeps  func(channel string) bool
	size   int // most publications of one channel

	counts historyCounts

	// mu is locked with a shard of the hub locked, or alone, and before the broker's table.
	// Nothing is encoded or sent while it is locked.
	mu      sync.Mutex
	set     history.Set[*record]
	byName  map[string]*tracker
	most    int                 // largest size of byName since it was made
	due     ring.Ring[*tracker] // those for which the engine has to be asked
	readers int                 // goroutines that ask
}

// tracker is one channel. trackers.mu guards all but name.
type tracker struct {
	name    []byte // immutable
	log     *history.Log[*record]
	members bool // it has members here
	joins   int  // that wait, or take place now
	gone    bool // it has neither, and is not in trackers any more
	busy    bool // a goroutine carries out the steps of the log
	due     bool // in trackers.due, or being read
	resting bool // the last question has failed: the next one is asked later
	lapses  int  // how often something may be missing, because the link was lost
	checked int  // of these, those after which the engine was asked
	failed  int  // answers in a row that are errors
	downs   int  // questions in a row that did not reach the engine
	waiting []*recovery
	answer  answer // the last one
}

// shrinkTrackers is the size from which the map of trackers is replaced when it becomes empty,
// because Go's maps keep the memory of their largest size.
const shrinkTrackers = 1024

// errNoHistorian means that the broker cannot do what is configured.
var errNoHistorian = errors.New("this broker keeps no history")

// openTrackers makes the trackers, if channels keep history.
func (n *Node) openTrackers() error {
	keep := n.cfg.History
	if keep == nil {
		return nil
	}
	source, ok := n.broker.(broker.Historian)
	if !ok {
		return errNoHistorian
	}
	n.trackers = &trackers{node: n, source: source, keeps: keep.Match, size: keep.Size, byName: map[string]*tracker{}}
	n.trackers.set.Limits = history.Limits{
		Size: keep.Size, Memory: keep.Memory, TTL: int64(keep.TTL), InOrder: !n.broker.Asynchronous(),
	}
	source.WhenResumed(n.trackers.resumed)
	return nil
}

// subscriptions returns who sees to the subscriptions of the broker.
func (n *Node) subscriptions() hub.Watcher {
	if n.trackers != nil {
		return n.trackers
	}
	return n.broker
}

// Subscribe implements hub.Watcher.
func (t *trackers) Subscribe(channel string) {
	if !t.keeps(channel) {
		t.node.broker.Subscribe(channel)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trackLocked(channel).members = true
}

// Unsubscribe implements hub.Watcher.
func (t *trackers) Unsubscribe(channel string) {
	if !t.keeps(channel) {
		t.node.broker.Unsubscribe(channel)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if tr := t.byName[channel]; tr != nil {
		tr.members = false
		t.forgetLocked(tr)
	}
}

// hold returns the tracker of a channel, which is kept until release.
func (t *trackers) hold(channel []byte) *tracker {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr := t.byName[string(channel)]
	if tr == nil {
		tr = t.trackLocked(string(channel))
	}
	tr.joins++
	return tr
}

func (t *trackers) release(tr *tracker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr.joins--
	t.forgetLocked(tr)
}

// trackLocked returns the tracker of a channel. If there is none, it makes one and subscribes.
func (t *trackers) trackLocked(channel string) *tracker {
	tr := t.byName[channel]
	if tr == nil {
		tr = &tracker{name: []byte(channel), log: t.set.New()}
		t.byName[channel] = tr
		t.most = max(t.most, len(t.byName))
		t.node.broker.Subscribe(channel)
	}
	return tr
}

// forgetLocked forgets a tracker that is not needed.
func (t *trackers) forgetLocked(tr *tracker) {
	if tr.members || tr.joins > 0 || tr.busy || tr.gone {
		return
	}
	tr.gone = true
	tr.log.Close()
	delete(t.byName, string(tr.name))
	if len(t.byName) == 0 && t.most >= shrinkTrackers {
		t.byName, t.most = map[string]*tracker{}, 0
	}
	t.node.broker.Unsubscribe(string(tr.name))
}

// resumed notes that something may be missing, because the subscription of a channel has ended
// meanwhile, or its link was lost. The broker calls it.
func (t *trackers) resumed(channel string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tr := t.byName[channel]; tr != nil {
		tr.lapses, tr.resting, tr.failed, tr.downs = tr.lapses+1, false, 0, 0
		t.orderLocked(tr)
	}
}
