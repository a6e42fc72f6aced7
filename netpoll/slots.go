package netpoll

import "math/bits"

// slots hands out indexes. A released index is reused oldest first, which wears
// generations evenly.
//
// The free indexes form a ring; its capacity is kept at the number of indexes in
// circulation, so that it costs four bytes per connection ever open at once.
type slots struct {
	next uint32 // lowest index never handed out
	ring []uint32
	head int
	n    int
}

func (s *slots) take() uint32 {
	if s.n == 0 {
		s.next++
		return s.next - 1
	}
	i := s.ring[s.head]
	s.head = (s.head + 1) & (len(s.ring) - 1)
	s.n--
	return i
}

func (s *slots) give(i uint32) {
	if s.n == len(s.ring) {
		s.enlarge()
	}
	s.ring[(s.head+s.n)&(len(s.ring)-1)] = i
	s.n++
}

func (s *slots) enlarge() {
	ring := make([]uint32, max(16, 1<<bits.Len(uint(len(s.ring)))))
	for i := range s.n {
		ring[i] = s.ring[(s.head+i)&(len(s.ring)-1)]
	}
	s.ring, s.head = ring, 0
}
