package hub

// PublishThen is Publish for a channel of which the caller keeps what its members were
// given. It calls then with the shard locked, right after they were given it, also if there
// are none. So a JoinIf comes either before both or after both. Members of the classes in
// silent are left out, and need no frame. then must only record what has happened, and may
// be nil.
func (h *Hub) PublishThen(channel []byte, f *Frames, silent Classes, then func()) (members int, missing Classes) {
	var wake wakeSet
	s := h.shardOf(channel)
	s.mu.Lock()
	if ch := s.channels[string(channel)]; ch != nil {
		if missing = ch.lacks(f) &^ silent; missing != 0 {
			s.mu.Unlock()
			return 0, missing
		}
		members = h.give(ch, f, silent, &wake)
	}
	if then != nil {
		then()
	}
	s.mu.Unlock()
	for loop := range wake.each() {
		h.sink.Wake(loop)
	}
	return members, 0
}

// give gives each part the frame of its class. Needs the shard's lock.
func (h *Hub) give(ch *channel, f *Frames, silent Classes, wake *wakeSet) (members int) {
	largest := 0
	for p := range ch.parts() {
		if len(p.members) == 0 || silent.Has(p.key.class()) {
			continue
		}
		frame := f[p.key.class()]
		largest = max(largest, frame.Size())
		members += len(p.members)
		if p.add(frame, h.maxPending) {
			h.locals[p.key.loop()].schedule(p)
			wake.add(p.key.loop())
		}
	}
	ch.bytes += uint32(largest)
	ch.count = min(ch.count+1, maxSealed) // from there on it leaves no room anyway
	return members
}

// JoinIf is Join if ok, which it calls with the shard locked: nothing is published to the
// channel between ok and the membership, nor while ok runs. ok must be brief. Nothing is
// joined if the connection is a member already.
func (l *Local) JoinIf(conn uint32, set *Memberships, name []byte, ok func() bool) (joined bool) {
	if l.find(conn, set, name) != 0 {
		return false
	}
	index := l.hub.indexOf(name)
	s := &l.hub.shards[index]
	s.mu.Lock()
	if !ok() {
		s.mu.Unlock()
		return false
	}
	ref := l.insertLocked(s, index, conn, set, name)
	s.mu.Unlock()
	l.link(conn, set, ref)
	return true
}
