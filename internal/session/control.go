package session

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"wsify/internal/command"
	"wsify/internal/events"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// Order is what an operator wants done to connections, on every node.
//
// A kick closes connections: the one with an ID, the members of a Channel, those from an Address, or
// those of a User. With Unsubscribe, the one with an ID, those of a User, or all if both are empty,
// lose their memberships of Channel and stay.
type Order struct {
	Unsubscribe bool         `json:"unsubscribe,omitempty"`
	ID          string       `json:"id,omitempty"`
	Channel     string       `json:"channel,omitempty"`
	Address     netip.Prefix `json:"address,omitzero"`
	User        string       `json:"user,omitempty"`
	Code        uint16       `json:"code,omitempty"` // of the Close frame
	Reason      string       `json:"reason,omitempty"`
}

// Carried is the outcome of an Order.
type Carried struct {
	Here  int    // connections that were kicked, or memberships that have ended, on this node
	Nodes string // whether the other nodes were told: one of the values below
}

// Values of Carried.Nodes.
const (
	NodesNone        = "none"        // this node has no broker with an engine, so no others
	NodesTold        = "told"        // the engine has the order
	NodesUnreachable = "unreachable" // they were not told
	NodesUnknown     = "unknown"     // the engine did not answer, so they may have been told
)

// orderTimeout is how long an order may take. Half a million connections take some seconds.
const orderTimeout = 20 * time.Second

// Order carries out an order on this node, and tells the other nodes. Both are done as far as
// possible, whatever the error, which is a *LateError. An order that has begun is not undone when
// ctx ends.
func (n *Node) Order(ctx context.Context, o Order) (done Carried, err error) {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	told := n.orders.tell(ctx, o)
	done.Here, err = n.carryOut(ctx, o)
	done.Nodes = <-told
	attrs := append(o.attrs(), slog.Int("here", done.Here), slog.String("nodes", done.Nodes))
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	n.log.Info("an order of the operator was carried out", attrs...)
	return done, err
}

// Kinds of orders, for the counters.
const (
	orderKick = iota
	orderUnsubscribe
	numOrders
)

var orderNames = [numOrders]string{"kick", "unsubscribe"}

func (o *Order) kind() int {
	if o.Unsubscribe {
		return orderUnsubscribe
	}
	return orderKick
}

// attrs describes an order for the log: what it is and whom it names.
func (o *Order) attrs() []any {
	all := []any{slog.String("order", orderNames[o.kind()])}
	if o.ID != "" {
		all = append(all, slog.String("conn", o.ID))
	}
	if o.Channel != "" {
		all = append(all, slog.String("channel", o.Channel))
	}
	if o.User != "" {
		all = append(all, slog.String("user", o.User))
	}
	if o.Address.IsValid() {
		all = append(all, slog.String("address", o.Address.String()))
	}
	if !o.Unsubscribe {
		all = append(all, slog.Int("code", int(o.Code)))
	}
	return all
}

// carryOut carries out an order on this node. It returns how many connections it concerned so far.
func (n *Node) carryOut(ctx context.Context, o Order) (here int, err error) {
	n.obeyed[o.kind()].Add(1)
	if o.User != "" { // what is kept would let the user in again, and nobody would be asked
		n.cache.Forget(o.User)
	}
	var count atomic.Int64
	visit := func(l *loop, c *netpoll.Conn, s *session) bool {
		if c.Open() && l.obey(c, s, &o) {
			count.Add(1)
		}
		return true
	}
	if o.ID == "" {
		err = n.walk(ctx, context.Background(), fromTheStart, visit)
	} else if id, ours := n.parseConnID(o.ID); ours {
		err = n.at(ctx, id, func(l *loop, c *netpoll.Conn) {
			if c != nil {
				visit(l, c, l.session(c))
			}
		})
	}
	return int(count.Load()), err
}

// obey carries out an order for one connection, and reports whether it concerned it.
func (l *loop) obey(c *netpoll.Conn, s *session, o *Order) bool {
	if s.state == connecting && (o.Unsubscribe || o.User != "") {
		e := l.more(s)
		e.orders = append(e.orders, o)
	}
	if o.Unsubscribe {
		if o.User != "" && !l.isOf(s, o.User) {
			return false
		}
		return l.unsubscribe(c, s, []byte(o.Channel))
	}
	target := ConnFilter{o.Channel, o.Address, o.User}
	return target.matches(l, c, s) && l.kick(c, s, o)
}

const kickedText = "This connection was closed by the operator.\n"

// kick ends a client's connection. It leaves backends alone, and heads that are incomplete: what
// they ask for is not known yet.
func (l *loop) kick(c *netpoll.Conn, s *session, o *Order) bool {
	switch s.state {
	case connecting:
		l.refuseFor(c, s, reasonKicked, rejectKicked, 403, "", kickedText)
	case open, pinged, parked, streaming:
		l.report(c, s, events.Kicked, wire.CloseCode(o.Code), o.Reason)
		l.end(c, s, reasonKicked, wire.CloseCode(o.Code), o.Reason)
	default:
		return false
	}
	return true
}

// unsubscribe ends a membership. As with a leave, the member gets what was published before.
func (l *loop) unsubscribe(c *netpoll.Conn, s *session, channel []byte) bool {
	l.revoke(s, channel)
	if !l.hub.Member(c.Slot(), &s.subs, channel) {
		return false
	}
	l.leaveChannel(c, s, channel)
	return true
}

// revoke makes a join fail that waits for the authorizer, whose decision may be older than the order,
// or for what was missed.
func (l *loop) revoke(s *session, channel []byte) {
	e := l.more(s)
	if e != nil && e.recovery != nil && string(e.recovery.Channel) == string(channel) {
		e.recovery.revoked = true
	}
	l.revokeJoin(e, channel)
	if e != nil && e.stream != nil {
		e.stream.revoke(channel)
	}
	if s.state != parked {
		return
	}
	if e.why != whyAuthorizer || e.asked != eventJoin {
		return
	}
	var p command.Parser
	if cmd, bad := p.Parse(e.message); bad == nil && string(cmd.Channel) == string(channel) {
		e.revoked = true
	}
}
