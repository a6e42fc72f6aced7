package pubsub

import "slices"

// Session is what one connection is a member of. It belongs to whoever reads the
// connection; Handle and Close are never called at the same time.
type Session[M comparable] struct {
	server   *Server[M]
	member   M
	channels []*channel[M]
}

// Open starts the session of a connection.
func (s *Server[M]) Open(member M) *Session[M] {
	return &Session[M]{server: s, member: member}
}

// Handle carries out one message. It returns the answer, or nil when the client
// asked for none. The message is borrowed.
func (n *Session[M]) Handle(message []byte) (answer []byte) {
	c, ok := parseCommand(message)
	if !ok {
		return nil
	}
	if c.Args.Channel == "" {
		return c.refused("bad_request", "no channel")
	}
	switch c.Command {
	case "join":
		n.join(c.Args.Channel)
	case "leave":
		n.leave(c.Args.Channel)
	case "broadcast":
		n.server.Publish(c.Args.Channel, c.Args.Content)
	default:
		return c.refused("unknown_command", "want join, leave or broadcast")
	}
	return c.done()
}

// Close ends all memberships. Nothing is delivered to the connection after it.
func (n *Session[M]) Close() {
	for _, c := range n.channels {
		n.server.hub.leave(c, n.member)
	}
	n.channels = nil
}

func (n *Session[M]) join(name string) {
	if n.find(name) < 0 {
		n.channels = append(n.channels, n.server.hub.join(name, n.member))
	}
}

func (n *Session[M]) leave(name string) {
	if i := n.find(name); i >= 0 {
		n.server.hub.leave(n.channels[i], n.member)
		n.channels = slices.Delete(n.channels, i, i+1)
	}
}

func (n *Session[M]) find(name string) int {
	return slices.IndexFunc(n.channels, func(c *channel[M]) bool { return c.name == name })
}
