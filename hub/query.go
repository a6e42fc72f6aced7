package hub

// Member reports whether the connection is a member of the channel.
func (l *Local) Member(conn uint32, set *Memberships, name []byte) bool {
	return l.find(conn, set, name) != 0
}

// Pending reports whether a slice may be left for Next.
func (l *Local) Pending() bool { return l.active.Len() > 0 }
