package test

import "slices"

// account is the result of a round.
type account struct {
	accepted, refused, unknown int
	resumed                    int // accepted after both nodes were ready again
	deliveries                 int
	lost                       int // publications, accepted or unknown, that some member has not received
	lostEarly                  int // of those, the ones accepted before the engine was killed
	silent                     int // of those, the ones that no member has received
}

// settle checks the whole round. No member received a publication twice, from another channel, or
// after a refusal. All members of a channel received the order that the broker promises, and each
// publisher's publications are in its order.
func (r *round) settle() (a account) {
	r.c.t.Helper()
	for channel := range crowdChannels {
		members := r.c.of(channel)
		lists := make([][]int32, len(members))
		for i, m := range members {
			m.mu.Lock()
			lists[i] = slices.Clone(m.heard)
			if m.marks != 1 {
				r.c.t.Errorf("a member received the end of the round %d times", m.marks)
			}
			m.mu.Unlock()
			r.checkMember(channel, lists[i])
			a.deliveries += len(lists[i])
		}
		for i := range lists {
			for j := range i {
				r.checkOrder(members[i], members[j], lists[i], lists[j])
			}
		}
		if r.c.t.Failed() {
			return a
		}
	}
	for p := range r.publications {
		r.add(&a, p)
	}
	return a
}

// checkOrder compares the publications that two members of a channel have received. On one node,
// and with Redis everywhere, all receive one order. With NATS, members on different nodes receive
// the publications of any one node in one order.
func (r *round) checkOrder(m, n *member, a, b []int32) {
	if m.node == n.node || r.c.driver == "redis" {
		if !sameOrder(a, b) {
			r.c.t.Errorf("two members of %s received different orders:\n%v\n%v", channelName(m.channel), a, b)
		}
		return
	}
	for node := range int32(2) {
		if !sameOrder(r.publishedOn(node, a), r.publishedOn(node, b)) {
			r.c.t.Errorf("two members of %s received the publications of node %d in different orders:\n%v\n%v", channelName(m.channel), node+1, a, b)
		}
	}
}

// publishedOn returns the publications that were published on one node.
func (r *round) publishedOn(node int32, heard []int32) (of []int32) {
	for _, p := range heard {
		if r.publications[p].owner/(socketPublishers+httpPublishers) == node {
			of = append(of, p)
		}
	}
	return of
}

// checkMember checks the publications that one member of a channel has received.
func (r *round) checkMember(channel int, heard []int32) {
	seen := make(map[int32]bool, len(heard))
	last := map[int32]int32{} // by publisher
	for _, p := range heard {
		f := &r.publications[p]
		switch {
		case int(p)%crowdChannels != channel:
			r.c.t.Errorf("a member of %s received %d, of another channel", channelName(channel), p)
		case seen[p]:
			r.c.t.Errorf("a member received %d twice: %v", p, heard)
		case f.outcome.Load() == refused:
			r.c.t.Errorf("a member received %d, which was refused", p)
		case last[f.owner] > p:
			r.c.t.Errorf("a member received %d after %d of the same publisher", p, last[f.owner])
		}
		seen[p], last[f.owner] = true, p
	}
}

// add counts one publication.
func (r *round) add(a *account, p int) {
	f := &r.publications[p]
	told, heard := f.outcome.Load(), f.hearings.Load()
	if f.began == resumed && (told != accepted || heard != r.perChannel) {
		r.c.t.Errorf("publication %d, sent when both nodes were ready again, has outcome %d and was received by %d of %d members", p, told, heard, r.perChannel)
	}
	// Half of the members are on the node that accepted it.
	if f.began == noticed && told == accepted && heard < r.perChannel/2 {
		r.c.t.Errorf("publication %d was taken by a node that was not ready for its own members: %d of %d received it", p, heard, r.perChannel)
	}
	switch told {
	case accepted:
		a.accepted++
	case unknown:
		a.unknown++
	case refused:
		a.refused++
		return
	default:
		r.c.t.Errorf("publication %d has no outcome", p)
		return
	}
	if f.began == resumed {
		a.resumed++
	}
	if heard < r.perChannel {
		a.lost++
	}
	if heard == 0 {
		a.silent++
	}
	if heard < r.perChannel && told == accepted && f.toldAt == steady {
		a.lostEarly++
	}
}

// sameOrder reports whether two members have received their common publications in the same order.
func sameOrder(a, b []int32) bool {
	if slices.Equal(a, b) {
		return true
	}
	at := make(map[int32]int, len(b))
	for i, p := range b {
		at[p] = i
	}
	last := -1
	for _, p := range a {
		if i, both := at[p]; both {
			if i < last {
				return false
			}
			last = i
		}
	}
	return true
}
