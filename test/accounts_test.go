package test

import "slices"

// account is what a round came to.
type account struct {
	accepted, refused, unknown int
	resumed                    int // accepted when both nodes were ready again
	deliveries                 int
	lost                       int // publications, accepted or unknown, that not every member has heard
	lostEarly                  int // of those, the ones accepted before the engine was killed
	silent                     int // of those, the ones that nobody has heard
}

// settle goes through the whole round: no publication was heard twice by a member,
// or by another channel's, or although it was refused; all members of a channel heard
// one order; and a publisher's publications are in its order.
func (r *round) settle() (a account) {
	r.c.t.Helper()
	for channel := range crowdChannels {
		members := r.c.of(channel)
		lists := make([][]int32, len(members))
		for i, m := range members {
			m.mu.Lock()
			lists[i] = slices.Clone(m.heard)
			if m.marks != 1 {
				r.c.t.Errorf("a member heard the end of the round %d times", m.marks)
			}
			m.mu.Unlock()
			r.checkMember(channel, lists[i])
			a.deliveries += len(lists[i])
		}
		for i := range lists {
			for j := range i {
				if !slices.Equal(lists[i], lists[j]) && !sameOrder(lists[i], lists[j]) {
					r.c.t.Errorf("two members of %s heard different orders:\n%v\n%v", channelName(channel), lists[i], lists[j])
				}
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

// checkMember looks at what one member of a channel has heard.
func (r *round) checkMember(channel int, heard []int32) {
	seen := make(map[int32]bool, len(heard))
	last := map[int32]int32{} // by publisher
	for _, p := range heard {
		f := &r.publications[p]
		switch {
		case int(p)%crowdChannels != channel:
			r.c.t.Errorf("a member of %s heard %d, of another channel", channelName(channel), p)
		case seen[p]:
			r.c.t.Errorf("a member heard %d twice: %v", p, heard)
		case f.outcome.Load() == refused:
			r.c.t.Errorf("a member heard %d, which was refused", p)
		case last[f.owner] > p:
			r.c.t.Errorf("a member heard %d behind %d of the same publisher", p, last[f.owner])
		}
		seen[p], last[f.owner] = true, p
	}
}

// add counts one publication.
func (r *round) add(a *account, p int) {
	f := &r.publications[p]
	told, heard := f.outcome.Load(), f.hearings.Load()
	if f.began == resumed && (told != accepted || heard != r.perChannel) {
		r.c.t.Errorf("publication %d, sent when both nodes were ready again, has outcome %d and was heard by %d of %d members", p, told, heard, r.perChannel)
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

// sameOrder reports whether what two members both heard came to them in one order.
func sameOrder(a, b []int32) bool {
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
