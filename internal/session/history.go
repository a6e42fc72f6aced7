package session

import (
	"bytes"
	"errors"
	"time"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/buffer"
	"wsify/internal/follow"
)

// errNoHistorian means that the broker cannot do what is configured.
var errNoHistorian = errors.New("this broker keeps no history")

// openFollower makes the follower, if channels keep history.
func (n *Node) openFollower() error {
	if n.cfg.History == nil {
		return nil
	}
	b, ok := n.broker.(broker.Historian)
	if !ok {
		return errNoHistorian
	}
	n.follower = follow.New(b, n.cfg.History, members{n})
	return nil
}

// keepsHistory reports whether a channel keeps history.
func (n *Node) keepsHistory(channel string) bool { return n.cfg.History.Keeps(channel) }

// subscriptions returns who sees to the subscriptions of the broker.
func (n *Node) subscriptions() hub.Watcher {
	if n.follower != nil {
		return n.follower
	}
	return n.broker
}

// addHistory adds what a node without history does not have.
func (n *Node) addHistory(st *Stats) {
	if n.follower == nil {
		return
	}
	f := n.follower.Stats()
	st.Followed, st.HistoryBytes, st.HistoryGaps, st.HistoryDoubles = f.Channels, f.Bytes, f.Gaps, f.Doubles
	st.HistoryReads, st.Recoveries = f.Reads, f.Recoveries
	if m, ok := n.broker.(interface{ HistoryStats() (int64, uint64) }); ok {
		st.RingBytes, st.RingsLost = m.HistoryStats()
	}
}

// roomTimeout is how long the answer of an engine waits for room in its channel. Members that are
// too slow are closed, so it comes before.
const roomTimeout = 5 * time.Second

// members are the node's, as a follow.Follower sees them.
type members struct{ node *Node }

// Give implements follow.Members.
func (m members) Give(p *follow.Publication, given func()) { m.node.encode(publishedAs(p), given) }

func publishedAs(p *follow.Publication) published {
	return published{channel: p.Channel, content: p.Content, head: p.Head}
}

// TellGap implements follow.Members.
func (m members) TellGap(channel []byte, at broker.Position, given func()) {
	var frames hub.Frames
	for again := true; again; {
		_, lacks := m.node.hub.PublishThen(channel, &frames, silentInGaps, given)
		for class := range lacks.Each() {
			frames[class] = gapVoice(class)(channel, at.String())
		}
		again = lacks != 0
	}
	frames.Release()
}

// AwaitRoom implements follow.Members.
func (m members) AwaitRoom(channel []byte, size int) {
	room := make(chan struct{})
	w := &hub.Waiter{First: true, Came: func() { close(room) }}
	if !m.node.hub.AwaitRoom(channel, size, w) {
		return
	}
	select {
	case <-room:
	case <-time.After(roomTimeout):
	}
	m.node.hub.Forgo(w)
}

// Encode implements follow.Members.
func (m members) Encode(p *follow.Publication, class hub.Class) []byte {
	var frames hub.Frames
	defer frames.Release()
	m.node.speak(&frames, class, publishedAs(p))
	return bytes.Clone(frames[class].Bytes())
}

// gapVoice returns how a class is told of a gap, without compression; nil if it is not.
func gapVoice(class hub.Class) func(channel []byte, position string) *buffer.Buffer {
	if v := &voices[class]; v.deflated {
		class = v.plain
	}
	return voices[class].gap
}

// silentInGaps are the classes that are told nothing of a gap.
var silentInGaps = func() (silent hub.Classes) {
	for class := range hub.Class(hub.NumClasses) {
		if gapVoice(class) == nil {
			silent.Add(class)
		}
	}
	return silent
}()
