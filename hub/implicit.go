package hub

// ImplicitPrefix begins the names of implicit channels. They stand for a group of connections, such
// as those of one user, to which publications go as to any channel. They are no channels to those
// who look: Count, Names, Each and Stats leave them out. A connection has one of them at most, which
// it joins before any other channel.
const ImplicitPrefix = "\x00"

func implicit(name string) bool { return name != "" && name[0] == ImplicitPrefix[0] }

// counted is what a membership of the channel adds to the counts.
func (ch *channel) counted() int64 {
	if implicit(ch.name) {
		return 0
	}
	return 1
}

// Implicit returns the name of the implicit channel that the connection is a member of, or "".
func (l *Local) Implicit(set *Memberships) string {
	if !l.isImplicit(set.head) {
		return ""
	}
	return l.part(l.memberships.At(set.head)).channel.name
}

// isImplicit reports whether ref is a membership of an implicit channel. It stays at the head of its
// connection's list, so nothing is searched. A loop without one looks at no membership.
func (l *Local) isImplicit(ref uint32) bool {
	return l.implicit > 0 && ref != 0 && implicit(l.part(l.memberships.At(ref)).channel.name)
}
