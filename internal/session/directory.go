package session

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"wsify/netpoll"
)

// ChannelInfo describes a channel to an operator.
type ChannelInfo struct {
	Name    string
	Members int // on this node
}

// ListChannels returns channels that begin with prefix and come behind after, sorted by name, at most
// limit. more is true when there are others behind the last one. It looks at all channels, and
// keeps two pages of names at most.
func (n *Node) ListChannels(prefix, after string, limit int) (page []ChannelInfo, more bool) {
	most := limit + 1
	last, full := "", false // no name from last on has a place once full
	byName := func(a, b ChannelInfo) int { return cmp.Compare(a.Name, b.Name) }
	shorten := func() {
		slices.SortFunc(page, byName)
		page = slices.CompactFunc(page, func(a, b ChannelInfo) bool { return a.Name == b.Name })
		if len(page) >= most {
			page, full = page[:most], true
			last = page[most-1].Name
		}
	}
	n.hub.Each(func(name string, members int) bool {
		if name > after && strings.HasPrefix(name, prefix) && !(full && name >= last) {
			if page = append(page, ChannelInfo{name, members}); len(page) == 2*most {
				shorten()
			}
		}
		return true
	})
	if shorten(); len(page) > limit {
		return page[:limit], true
	}
	return page, false
}

// Members returns how many members a channel has on this node.
func (n *Node) Members(channel string) int { return n.hub.Count(channel) }

// ConnInfo describes a connection to an operator.
type ConnInfo struct {
	ID       string
	Address  string // empty for a unix socket, and after a reset
	Since    time.Time
	Idle     float64 // seconds since the client last sent something; 0 for one that is no client
	Channels int
	Queued   int // bytes of memory
	State    string
	Loop     int
	User     string   // empty if the authorizer has named none
	Names    []string // of its channels; only from Connection, and at most maxNames

	Protocol   string // the name of its voice; empty unless it is open
	Compressed bool   // it has agreed on compression
}

// maxNames is how many names of channels Connection returns.
const maxNames = 1000

// stateNames are the states as operators see them.
var stateNames = [...]string{
	handshaking: "handshake", connecting: "authorizing", open: "open", pinged: "open", parked: "waiting", streaming: "open",
	receiving: "http", publishing: "http", kept: "http", ending: "closing",
}

// ConnFilter says which connections Connections returns. Zero fields match everything.
type ConnFilter struct {
	Channel string       // its members
	Address netip.Prefix // from there
	User    string       // of this user
}

// ErrForeign means that an id is not of a connection of this node.
var ErrForeign = errors.New("it is not the id of a connection of this node")

// matches reports whether the filter has a place for a connection.
func (f *ConnFilter) matches(l *loop, c *netpoll.Conn, s *session) bool {
	if f.Channel != "" && !l.hub.Member(c.Slot(), &s.subs, []byte(f.Channel)) {
		return false
	}
	if f.User != "" && !l.isOf(s, f.User) {
		return false
	}
	return !f.Address.IsValid() || f.Address.Contains(l.peer(c).Unmap())
}

// ListConnections returns connections behind the one named after, at most limit. It is in no order that
// means anything, but the order stays the same. more is true when there may be others behind the
// last one.
func (n *Node) ListConnections(ctx context.Context, f ConnFilter, after string, limit int) (page []ConnInfo, more bool, err error) {
	first, slot, err := n.behind(after)
	if err != nil {
		return nil, false, err
	}
	from := func(loop int) uint32 {
		switch {
		case loop < first:
			return 1<<32 - 1 // nothing
		case loop == first:
			return slot
		}
		return 0
	}
	found := make([][]ConnInfo, len(n.loops))
	err = n.walk(ctx, ctx, from, func(l *loop, c *netpoll.Conn, s *session) bool {
		mine := &found[l.net.Index()]
		if f.matches(l, c, s) {
			*mine = append(*mine, l.describe(c, s))
		}
		return len(*mine) <= limit
	})
	if err != nil {
		return nil, false, err // loops may still write to found
	}
	all := slices.Concat(found...)
	return all[:min(len(all), limit)], len(all) > limit, nil
}

// behind returns where the connections behind the one named after begin.
func (n *Node) behind(after string) (loop int, slot uint32, err error) {
	if after == "" {
		return 0, 0, nil
	}
	id, ok := n.parseConnID(after)
	if !ok {
		return 0, 0, ErrForeign
	}
	loop, slot = netpoll.Place(id)
	return loop, slot + 1, nil
}

// Connection describes the connection with this id. The error is ErrForeign when there is none.
func (n *Node) Connection(ctx context.Context, name string) (info ConnInfo, err error) {
	id, ok := n.parseConnID(name)
	if !ok {
		return info, ErrForeign
	}
	found := make(chan ConnInfo, 1)
	err = n.at(ctx, id, func(l *loop, c *netpoll.Conn) {
		if c == nil {
			return
		}
		s := l.session(c)
		info := l.describe(c, s)
		info.Names = l.hub.Names(&s.subs, maxNames)
		found <- info
	})
	if err != nil {
		return info, err
	}
	select {
	case info = <-found:
		slices.Sort(info.Names)
		return info, nil
	default:
		return info, ErrForeign
	}
}

// describe makes the description of a connection, without the names of its channels.
func (l *loop) describe(c *netpoll.Conn, s *session) ConnInfo {
	info := ConnInfo{
		ID: l.node.connID(c.ID()), Address: l.remoteAddr(c), Since: time.Now().Add(-c.Age()).UTC().Truncate(time.Second),
		Channels: s.subs.Count(), Queued: c.Queued(), State: stateNames[s.state], Loop: l.net.Index(), User: l.userOf(s),
	}
	switch s.state {
	case open, pinged, parked:
		info.Idle = (time.Duration(l.net.Tick()-s.seen) * l.node.tick).Seconds()
		fallthrough
	case streaming:
		v := s.voice()
		info.Protocol, info.Compressed = v.name, v.deflated
	}
	return info
}
